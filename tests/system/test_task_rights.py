"""With the rights that the documentation lists for a task it works; without any one of them it fails and names it.

Backups have a file of their own, test_backup_rights.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from rig.keep import Attempt, Keep
from rig.page import RULES, granted_by, without
from rig.redis_servers import RedisServer, binary, why_missing
from rig.steps import APPLY, REPORT, populated
from rig.tidied import RULES_OF_EVERY_KIND, keys_of_every_kind

from tasks.errors import ServerDenied
from tasks.rights import KINDS

MakeKeep = Callable[..., Keep]
USER = "redkeep"
WORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "tidy": ("tidy", {"tidy": RULES_OF_EVERY_KIND}),
    "enforce report": ("enforce", {"persistence": REPORT}),
    "enforce apply": ("enforce", {"persistence": APPLY}),
}
"""For the rule of each name: the task, and how it is set."""


SELDOM = {"+randomkey", "+exists"}
"""What tidy needs only among more keys than it looks at one by one, and where one goes while it is looked at."""


@contextmanager
def filled(flavour: str) -> Iterator[RedisServer]:
    """A server with save points and no AOF, and keys for every rule of tidy: there is something to do for everybody."""
    with populated(flavour) as server:
        keys_of_every_kind(server.client())
        yield server


@pytest.fixture
def server(redis_flavour: str) -> Iterator[RedisServer]:
    with filled(redis_flavour) as server:
        yield server


def allow(server: RedisServer, rules: str) -> None:
    """From now on the user may do that and nothing else."""
    server.client().execute_command("ACL", "SETUSER", USER, "reset", "on", ">secret", *rules.split())


def attempt(server: RedisServer, keep: MakeKeep, kind: str, rules: str) -> Attempt:
    """One by a user of these rules and no others."""
    task, options = WORKS[kind]
    ours = keep(server, url=f"redis://{USER}:secret@127.0.0.1:{server.port}", **options)
    if task == "tidy":  # which begins only where there is a backup
        allow(server, "+@all ~*")
        assert ours.attempt().error is None
    allow(server, rules)
    return ours.verb(task)


@pytest.mark.parametrize("kind", KINDS)
def test_what_check_asks_about_is_what_the_page_lists(kind: str) -> None:
    assert sorted(granted_by(RULES[kind])) == sorted(f"+{right.name}" for right in KINDS[kind])


@pytest.mark.parametrize("kind", WORKS)
def test_the_rules_of_the_page_are_enough(server: RedisServer, keep: MakeKeep, kind: str) -> None:
    done = attempt(server, keep, kind, RULES[kind])
    assert (done.state, done.error) == ("succeeded", None)


NEEDED = [(kind, word) for kind in WORKS for word in granted_by(RULES[kind]) if word not in SELDOM]


@pytest.mark.parametrize(("kind", "missing"), NEEDED)
def test_without_any_one_of_them_it_fails_and_names_it(keep: MakeKeep, kind: str, missing: str) -> None:
    """On Valkey 9, which names a command also where a script was not let use it."""
    with filled(known("valkey9")) as server:
        error = attempt(server, keep, kind, without(RULES[kind], missing)).error
    assert isinstance(error, ServerDenied)
    assert error.hint.startswith(f"Grant it: ACL SETUSER {USER} {missing}")


@pytest.mark.parametrize("missing", ["+unlink", "+pexpire", "+ltrim"])
def test_where_a_script_was_refused_and_not_why_the_error_leads_to_check(
    redis_flavour: str, keep: MakeKeep, missing: str
) -> None:
    with filled(redis_flavour) as server:
        error = attempt(server, keep, "tidy", without(RULES["tidy"], missing)).error
    assert isinstance(error, ServerDenied)
    older = redis_flavour in ("redis6", "redis7")
    assert ("redkeep check" in error.hint) if older else (error.hint == f"Grant it: ACL SETUSER {USER} {missing}")


def test_without_a_key_pattern_tidy_says_so(server: RedisServer, keep: MakeKeep) -> None:
    error = attempt(server, keep, "tidy", without(RULES["tidy"], "~*")).error
    assert isinstance(error, ServerDenied)
    assert error.hint == f"Grant it: ACL SETUSER {USER} ~*"


def known(flavour: str) -> str:
    if binary(flavour) is None:
        pytest.skip(why_missing(flavour))
    return flavour

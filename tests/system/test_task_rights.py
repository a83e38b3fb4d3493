"""With the rights that the documentation lists for a task it works; without any one of them it fails and names it.

Backups have a file of their own, test_backup_rights.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rig.keep import Attempt, Keep
from rig.page import RULES, granted_by, without
from rig.redis_servers import RedisServer
from rig.steps import APPLY, REPORT, populated

from tasks.errors import ServerDenied
from tasks.rights import KINDS

MakeKeep = Callable[..., Keep]
USER = "redkeep"
WORKS: dict[str, tuple[str, dict[str, Any]]] = {
    "enforce report": ("enforce", {"persistence": REPORT}),
    "enforce apply": ("enforce", {"persistence": APPLY}),
}
"""For the rule of each name: the task, and how it is set."""


@pytest.fixture
def server(redis_flavour: str) -> Iterator[RedisServer]:
    """One with keys, save points and no AOF: there is something to do for everybody."""
    with populated(redis_flavour) as server:
        yield server


def attempt(server: RedisServer, keep: MakeKeep, kind: str, rules: str) -> Attempt:
    """One by a user of these rules and no others."""
    server.client().execute_command("ACL", "SETUSER", USER, "reset", "on", ">secret", *rules.split())
    task, options = WORKS[kind]
    return keep(server, url=f"redis://{USER}:secret@127.0.0.1:{server.port}", **options).verb(task)


@pytest.mark.parametrize("kind", KINDS)
def test_what_check_asks_about_is_what_the_page_lists(kind: str) -> None:
    assert sorted(granted_by(RULES[kind])) == sorted(f"+{right.name}" for right in KINDS[kind])


@pytest.mark.parametrize("kind", WORKS)
def test_the_rules_of_the_page_are_enough(server: RedisServer, keep: MakeKeep, kind: str) -> None:
    done = attempt(server, keep, kind, RULES[kind])
    assert (done.state, done.error) == ("succeeded", None)


@pytest.mark.parametrize(("kind", "missing"), [(kind, word) for kind in WORKS for word in granted_by(RULES[kind])])
def test_without_any_one_of_them_it_fails_and_names_it(
    any_redis: RedisServer, keep: MakeKeep, kind: str, missing: str
) -> None:
    with populated(any_redis.flavour) as server:
        error = attempt(server, keep, kind, without(RULES[kind], missing)).error
    assert isinstance(error, ServerDenied)
    assert error.hint == f"Grant it: ACL SETUSER {USER} {missing}"

"""A user with only the rights that the documentation names can be used for backups; and each error names the next."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from rig.keep import Keep
from rig.page import RULES, granted_by, without
from rig.redis_servers import RedisServer
from rig.saving import forks, settings_are_back

from tasks.errors import ServerDenied, SnapshotCorrupt

MakeKeep = Callable[..., Keep]
SOURCES = {
    "follow": {"source": "follow"},
    "follow keep": {"source": "follow", "server_compression": "keep"},
    "stream": {"source": "stream"},
}


def serving(redis_flavour: str, rules: str, **config: object) -> RedisServer:
    """A server with a user ``redkeep`` of these rules, and a key."""
    server = RedisServer(
        redis_flavour, **{"repl_diskless_sync": "yes", "repl_diskless_sync_delay": 0} | config
    ).__enter__()
    server.client().execute_command("ACL", "SETUSER", "redkeep", ">secret", *rules.split())
    server.client().set("key", "value")
    return server


def as_redkeep(server: RedisServer) -> str:
    return f"redis://redkeep:secret@127.0.0.1:{server.port}"


def granted(server: RedisServer) -> list[str]:
    """The commands that the user may run, as the server spells them."""
    user = server.client().execute_command("ACL", "GETUSER", "redkeep")
    facts = user if isinstance(user, dict) else dict(zip(user[::2], user[1::2], strict=True))
    commands = facts.get("commands") or facts.get(b"commands")
    said = commands.decode() if isinstance(commands, bytes) else " ".join(map(str, commands))
    return sorted(word for word in said.split() if word != "-@all")


def test_the_page_has_a_rule_for_each_source() -> None:
    for kind in SOURCES:
        assert "resetkeys" in RULES[kind], "no key is touched to make a backup"


@pytest.mark.parametrize("kind", SOURCES)
def test_the_rules_of_the_page_are_enough(redis_flavour: str, keep: MakeKeep, kind: str) -> None:
    with serving(redis_flavour, RULES[kind]) as server:
        attempt = keep(server, url=as_redkeep(server), **SOURCES[kind]).attempt()
        assert attempt.error is None
        assert attempt.manifest is not None
        assert attempt.manifest.plaintext.keys == {"0": 1}
        assert settings_are_back(server)


@pytest.mark.parametrize("kind", SOURCES)
def test_granting_what_each_hint_says_leads_to_the_rules_of_the_page_and_to_a_backup(
    redis_flavour: str, keep: MakeKeep, kind: str
) -> None:
    with serving(redis_flavour, "on resetkeys resetchannels -@all") as server:
        ours = keep(server, url=as_redkeep(server), **SOURCES[kind])
        asked = []
        while isinstance(error := (attempt := ours.attempt()).error, ServerDenied):
            assert attempt.state == "failed"
            assert ours.left() == []
            assert forks(server) == 0
            assert settings_are_back(server)
            rule = re.fullmatch(r"Grant it: ACL SETUSER redkeep (\+[a-z|]+)", error.hint)
            assert rule is not None, error.hint
            assert rule[1] not in asked
            asked.append(rule[1])
            server.client().execute_command("ACL", "SETUSER", "redkeep", rule[1])
        assert attempt.error is None
        assert attempt.manifest is not None
        documented = granted_by(RULES[kind])
        assert sorted(asked) == sorted(documented)
        assert granted(server) == sorted(documented)


def test_each_error_names_user_and_command(any_redis: RedisServer, keep: MakeKeep) -> None:
    for missing, named in [
        ("+info", "INFO"),
        ("+config|get", "CONFIG GET"),
        ("+config|set", "CONFIG SET"),
        ("+bgsave", "BGSAVE"),
    ]:
        with serving(any_redis.flavour, without(RULES["follow"], missing)) as server:
            error = keep(server, url=as_redkeep(server), source="follow").attempt().error
            assert isinstance(error, ServerDenied)
            assert error.message == f"user 'redkeep' may not run {named} on redis://127.0.0.1:{server.port}"
            assert error.hint == f"Grant it: ACL SETUSER redkeep {missing}"
            assert forks(server) == 0, "it is known before"
            assert settings_are_back(server)


@pytest.mark.parametrize("source", ["follow", "stream"])
def test_a_database_in_the_url_needs_the_right_to_select_it(redis_flavour: str, keep: MakeKeep, source: str) -> None:
    with serving(redis_flavour, RULES[source]) as server:
        ours = keep(server, url=as_redkeep(server) + "/3", source=source)
        error = ours.attempt().error
        assert isinstance(error, ServerDenied)
        assert error.hint == "Grant it: ACL SETUSER redkeep +select"
        server.client().execute_command("ACL", "SETUSER", "redkeep", "+select")
        assert ours.attempt().error is None


def test_a_missing_checksum_that_cannot_be_asked_about_is_refused(any_redis: RedisServer, keep: MakeKeep) -> None:
    with serving(any_redis.flavour, RULES["stream"], rdbchecksum="no") as server:
        ours = keep(server, url=as_redkeep(server), source="stream")
        attempt = ours.attempt()
        assert isinstance(attempt.error, SnapshotCorrupt)
        assert "none was written" in attempt.error.detail
        assert ours.left() == []
        server.client().execute_command("ACL", "SETUSER", "redkeep", "+config|get")
        allowed = ours.attempt()
        assert allowed.error is None
        assert allowed.manifest is not None
        assert allowed.manifest.plaintext.crc64 is None

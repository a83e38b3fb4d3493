"""The doctor on rights: each command that a task needs is asked about, and asking changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from rig.checked import Installation, found, rows
from rig.redis_servers import RedisServer

from tasks.check.finding import Finding
from tasks.rights import KINDS, Right, rights_of, rule
from tasks.settings import Settings

KEEPER = "redkeep"


@pytest.fixture
def kept(redis_flavour: str) -> Iterator[RedisServer]:
    """A server whose user has no right yet."""
    with RedisServer(redis_flavour, appendonly="yes") as server:
        server.client().execute_command("ACL", "SETUSER", KEEPER, "on", ">secret", "resetkeys", "-@all")
        yield server


@pytest.fixture(params=["follow", "stream"])
def settings(
    request: pytest.FixtureRequest, installed: Installation, cared_for: RedisServer, kept: RedisServer
) -> Settings:
    return installed(
        (cared_for.url, f"redis://{KEEPER}:secret@127.0.0.1:{kept.port}"),
        (str(cared_for.dir), str(kept.dir)),
        ('# source = "auto"', f'source = "{request.param}"'),
    )


def found_of(settings: Settings) -> Finding:
    """The only row about rights."""
    (finding,) = [each for each in found(settings) if each.what == "main: rights"]
    return finding


def needed(settings: Settings) -> list[Right]:
    """What can be found out by trying, for all tasks."""
    (target,) = settings.target
    rights = rights_of(target, followed=target.backup.source == "follow").values()
    return [right for right in dict.fromkeys(right for each in rights for right in each) if right.harmless]


def grant(server: RedisServer, rules: str) -> None:
    server.client().execute_command("ACL", "SETUSER", KEEPER, *rules.split())


def test_what_is_missing_is_named_with_who_needs_it_and_the_rule_that_grants_it(
    settings: Settings, kept: RedisServer
) -> None:
    first, *others = needed(settings)
    grant(kept, rule(others))
    finding = found_of(settings)
    assert finding.level == "fail"
    assert finding.told.startswith(f"user '{KEEPER}' may not run INFO (backup, enforce, ")
    assert finding.remedy == f"Grant it: ACL SETUSER {KEEPER} +{first.name}"


def test_following_the_remedy_leads_to_all_that_can_be_asked_about(settings: Settings, kept: RedisServer) -> None:
    grant(kept, found_of(settings).remedy.partition(f"{KEEPER} ")[2])
    assert found_of(settings).level == "ok"


@pytest.mark.parametrize("settings", ["stream"], indirect=True)
def test_what_cannot_be_asked_about_without_doing_it_is_named(settings: Settings, kept: RedisServer) -> None:
    grant(kept, rule(needed(settings)))
    assert "SYNC" in found_of(settings).told.partition("; not tried: ")[2]
    if kept.flavour == "redis6":  # which has no ACL DRYRUN
        return
    grant(kept, "+acl|dryrun")
    finding = found_of(settings)
    assert (finding.level, "+sync" in finding.remedy) == ("fail", True)
    grant(kept, finding.remedy.partition(f"{KEEPER} ")[2])
    finding = found_of(settings)
    assert (finding.level, "not tried" in finding.told) == ("ok", False)


@pytest.mark.parametrize("rules", ["+@all ~*", "+@all ~* -acl"], ids=["by dry run", "by trying"])
def test_asking_forks_nothing_and_changes_no_setting(settings: Settings, kept: RedisServer, rules: str) -> None:
    grant(kept, rules)
    client = kept.client()
    before = client.config_get("*"), client.info("stats")["total_forks"]
    assert found_of(settings).level == "ok"
    assert (client.config_get("*"), client.info("stats")["total_forks"]) == before
    assert client.info("replication")["connected_slaves"] == 0


@pytest.mark.parametrize(("mode", "also"), [("report", []), ("apply", ["config|set"])])
def test_enforce_is_asked_about_where_it_is_scheduled(
    installed: Installation, cared_for: RedisServer, kept: RedisServer, mode: str, also: list[str]
) -> None:
    grant(kept, "+info +replconf +sync")
    settings = installed(
        (cared_for.url, f"redis://{KEEPER}:secret@127.0.0.1:{kept.port}"),
        ('# source = "auto"', 'source = "stream"'),
        ('enforce = "report"', f'enforce = "{mode}"'),
    )
    finding = found_of(settings)
    assert finding.level == "fail"
    assert finding.remedy == f"Grant it: ACL SETUSER {KEEPER} {' '.join(f'+{each}' for each in ['config|get', *also])}"
    grant(kept, "+config|get +config|set +config|rewrite")
    assert found_of(settings).level == "ok"


def test_a_command_that_is_renamed_away_is_named_so(
    installed: Installation, cared_for: RedisServer, any_redis: RedisServer
) -> None:
    any_redis.restart(rename_command="BGSAVE hidden")
    settings = installed((cared_for.url, any_redis.url), (str(cared_for.dir), str(any_redis.dir)))
    failed = rows(settings, "fail")["main: rights"]
    assert failed.told.endswith("has no command BGSAVE")
    assert "rename-command" in failed.remedy


def test_every_example_is_of_the_command_that_its_rule_grants() -> None:
    for right in {right for kind in KINDS.values() for right in kind}:
        assert isinstance(right, Right)
        assert "|".join(right.example).lower().startswith(right.name)

"""The doctor on servers, sources, pauses and workers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rig.checked import Installation, found, installation, rows, server_as_it_should_be
from rig.keep import eventually
from rig.redis_servers import RedisServer

from tasks.control import connect
from tasks.names import Keys


@pytest.fixture(scope="module")
def site() -> Iterator[RedisServer]:
    with server_as_it_should_be() as server:
        yield server


@pytest.fixture(scope="module")
def control() -> Iterator[RedisServer]:
    """Who changes it changes it back."""
    with server_as_it_should_be() as server:
        yield server


@pytest.fixture
def installed(tmp_path: Path, site: RedisServer, control: RedisServer, namespace: str) -> Installation:
    return installation(tmp_path, site, control, namespace)


# -- the server under care ---------------------------------------------------------------------------------------------


def test_a_server_that_is_down_fails(installed: Installation, any_redis: RedisServer, site: RedisServer) -> None:
    settings = installed((site.url, any_redis.url))
    any_redis.kill()
    failed = rows(settings, "fail")
    assert set(failed) == {"main: server"}
    assert str(any_redis.port) in failed["main: server"].told


def test_a_wrong_password_fails_without_being_told(
    installed: Installation, any_redis: RedisServer, site: RedisServer
) -> None:
    any_redis.client().config_set("requirepass", "secret-of-the-server")
    settings = installed((site.url, f"redis://:hunter2-is-wrong@127.0.0.1:{any_redis.port}"))
    failed = rows(settings, "fail")
    assert "user and password" in failed["main: server"].remedy
    assert "hunter2" not in str(found(settings))


def test_a_replica_fails_unless_it_is_meant(installed: Installation, any_redis: RedisServer, site: RedisServer) -> None:
    any_redis.client().replicaof("127.0.0.1", str(site.port))
    eventually(lambda: any_redis.client().info("replication")["master_link_status"] == "up")
    settings = installed((site.url, any_redis.url))
    failed = rows(settings, "fail")
    assert "replica" in failed["main: server"].told
    assert 'replica = "accept"' in failed["main: server"].remedy
    accepted = rows(installed(('# replica = "refuse"', 'replica = "accept"')), "ok")
    assert "main: server" in accepted


def test_save_points_and_a_missing_aof_are_warned_of(
    installed: Installation, any_redis: RedisServer, site: RedisServer
) -> None:
    any_redis.client().config_set("save", "900 1")
    told = [each.told for each in found(installed((site.url, any_redis.url))) if each.what == "main: server"]
    assert any("no AOF" in each for each in told)
    assert any("saves by itself" in each for each in told)


def test_a_data_dir_that_is_missing_is_warned_of_and_fails_where_it_must_be_followed(
    installed: Installation, site: RedisServer
) -> None:
    settings = installed((str(site.dir), "/nowhere"))
    assert rows(settings, "warn")["main: source"].told == "no folder /nowhere"
    settings = installed(('# source = "auto"', 'source = "follow"'))
    assert rows(settings, "fail")["main: source"].told == "no folder /nowhere"


def test_without_a_data_dir_it_is_said_that_the_server_is_streamed(installed: Installation, site: RedisServer) -> None:
    settings = installed((f'data_dir = "{site.dir}"', ""))
    assert "streamed" in rows(settings, "ok")["main: source"].told


def test_a_pause_is_shown_with_its_reason_and_its_end(installed: Installation) -> None:
    settings = installed()
    client = connect(settings.control)
    client.hset(Keys(settings.control.namespace).paused("main"), mapping={"*": "moving house", "tasks.tidy": "x"})
    told = [each for each in found(settings) if each.what == "main: schedule"]
    client.delete(Keys(settings.control.namespace).paused("main"))
    client.close()
    assert [(each.level, each.told, each.remedy) for each in told] == [
        ("warn", "everything is paused, moving house", "redkeep resume main"),
        ("warn", "tidy is paused, x", "redkeep resume main tidy"),
    ]


# -- workers -----------------------------------------------------------------------------------------------------------


def test_a_queue_without_a_worker_and_a_missing_beat_fail_with_the_command_to_start_them(
    installed: Installation,
) -> None:
    failed = [each for each in found(installed(), {"tidy@here": ["tidy"]}) if each.level == "fail"]
    assert [(each.told, each.remedy) for each in failed] == [
        ("no worker serves queue backup", "redkeep worker backup"),
        ("no beat answers: nothing is sent on schedule", "redkeep beat"),
    ]


def test_a_target_with_a_worker_of_its_own_needs_that_one(installed: Installation) -> None:
    settings = installed(('# worker = "db1"', 'worker = "db1"'))
    assert rows(settings, "fail")["workers"].remedy == "redkeep worker backup.db1"
    assert rows(settings, "fail", serving={"celerybeat@x": [], "db1@here": ["backup.db1"]}) == {}


def test_another_queue_to_which_the_schedule_sends_is_only_warned_of(installed: Installation) -> None:
    seen = found(installed(), {"backup@here": ["backup"], "celerybeat@here": []})
    assert [each.told for each in seen if each.level == "fail"] == []
    warned = [each for each in seen if each.what == "workers" and each.level == "warn"]
    assert [(each.told, each.remedy) for each in warned] == [
        ("no worker serves queue housekeeping, to which the schedule sends", "redkeep worker housekeeping")
    ]

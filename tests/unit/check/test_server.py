"""The doctor on servers: what they are, where a snapshot comes from, how they keep their data."""

from __future__ import annotations

from rig.checked import Installation, found, rows
from rig.keep import eventually
from rig.redis_servers import RedisServer


def test_a_server_that_is_down_fails(installed: Installation, any_redis: RedisServer, cared_for: RedisServer) -> None:
    settings = installed((cared_for.url, any_redis.url))
    any_redis.kill()
    failed = rows(settings, "fail")
    assert set(failed) == {"main: server"}
    assert str(any_redis.port) in failed["main: server"].told


def test_a_wrong_password_fails_without_being_told(
    installed: Installation, any_redis: RedisServer, cared_for: RedisServer
) -> None:
    any_redis.client().config_set("requirepass", "secret-of-the-server")
    settings = installed((cared_for.url, f"redis://:hunter2-is-wrong@127.0.0.1:{any_redis.port}"))
    failed = rows(settings, "fail")
    assert "user and password" in failed["main: server"].remedy
    assert "hunter2" not in str(found(settings))


def test_a_replica_fails_unless_it_is_meant(
    installed: Installation, any_redis: RedisServer, cared_for: RedisServer
) -> None:
    any_redis.client().replicaof("127.0.0.1", str(cared_for.port))
    eventually(lambda: any_redis.client().info("replication")["master_link_status"] == "up")
    settings = installed((cared_for.url, any_redis.url))
    failed = rows(settings, "fail")
    assert "replica" in failed["main: server"].told
    assert 'replica = "accept"' in failed["main: server"].remedy
    accepted = rows(installed(('# replica = "refuse"', 'replica = "accept"')), "ok")
    assert "main: server" in accepted


def test_save_points_and_a_missing_aof_are_warned_of(
    installed: Installation, any_redis: RedisServer, cared_for: RedisServer
) -> None:
    any_redis.client().config_set("save", "900 1")
    told = [each.told for each in found(installed((cared_for.url, any_redis.url))) if each.what == "main: persistence"]
    assert told == ["save is '900 1', and '' is wanted", "appendonly is 'no', and 'yes' is wanted"]


def test_a_data_dir_that_is_missing_is_warned_of_and_fails_where_it_must_be_followed(
    installed: Installation, cared_for: RedisServer
) -> None:
    settings = installed((str(cared_for.dir), "/nowhere"))
    assert rows(settings, "warn")["main: source"].told == "no folder /nowhere"
    settings = installed(('# source = "auto"', 'source = "follow"'))
    assert rows(settings, "fail")["main: source"].told == "no folder /nowhere"


def test_without_a_data_dir_it_is_said_that_the_server_is_streamed(
    installed: Installation, cared_for: RedisServer
) -> None:
    settings = installed((f'data_dir = "{cared_for.dir}"', ""))
    assert "streamed" in rows(settings, "ok")["main: source"].told

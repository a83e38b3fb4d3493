"""The doctor on the control Redis."""

from __future__ import annotations

import pytest
from rig.checked import Installation, found, rows
from rig.redis_servers import RedisServer

from tasks.control import connect
from tasks.names import Keys


def test_a_control_redis_that_is_down_fails_and_the_rest_is_looked_at(installed: Installation) -> None:
    settings = installed(('url = "redis://127.0.0.1', 'url = "redis://127.0.0.1:1/0#'))
    seen = found(settings)
    failed = {each.what: each for each in seen if each.level == "fail"}
    assert set(failed) == {"control", "workers"}
    assert "127.0.0.1:1/0" in failed["control"].told
    assert failed["control"].remedy == "Start the control Redis, or correct [control] url."
    assert {each.what for each in seen} >= {"keys", "store", "main: server"}


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_control_redis_that_may_evict_fails(installed: Installation, control: RedisServer, policy: str) -> None:
    control.client().config_set("maxmemory-policy", policy)
    try:
        failed = rows(installed(), "fail")
    finally:
        control.client().config_set("maxmemory-policy", "noeviction")
    assert set(failed) == {"control"}
    assert policy in failed["control"].told
    assert "noeviction" in failed["control"].remedy


def test_a_control_redis_without_aof_is_warned_of(installed: Installation, control: RedisServer) -> None:
    control.client().config_set("appendonly", "no")
    try:
        warned = rows(installed(), "warn")["control"]
        assert "no AOF" in warned.told
        assert warned.remedy.endswith("CONFIG REWRITE.")
    finally:
        control.client().config_set("appendonly", "yes")
    with RedisServer(control.flavour, config_file=False) as no_file:
        warned = rows(installed((str(control.port), str(no_file.port))), "warn")["control"]
        assert warned.remedy.endswith("start it with --appendonly yes from then on.")


def test_a_control_redis_that_is_the_one_under_care_is_warned_of(
    installed: Installation, control: RedisServer, cared_for: RedisServer
) -> None:
    warned = rows(installed((str(control.port), str(cared_for.port))), "warn")
    assert "it is the server under care (main)" in warned["control"].told


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

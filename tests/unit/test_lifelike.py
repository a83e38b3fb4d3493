"""The data of demo, tests and bench is the same for everybody, and as much as was asked for."""

from __future__ import annotations

import datetime

import pytest
from rig.redis_servers import RedisServer

from tasks.demo.lifelike import fill


def test_a_seed_always_gives_the_same_data(any_redis: RedisServer) -> None:
    client = any_redis.client()
    digests = []
    for seed in (1, 1, 2):
        client.flushall()
        fill(client, 1, seed=seed)
        digests.append(any_redis.digest())
    assert digests[0] == digests[1] != digests[2]


def test_it_says_how_many_keys_it_wrote_and_leaves_the_client_where_it_was(any_redis: RedisServer) -> None:
    written = fill(any_redis.client(db=3), 1)
    assert {db: keys for db, (keys, _) in any_redis.counts().items()} == written
    assert any_redis.client(db=3).dbsize() == 0


def test_it_has_every_type_in_two_databases(any_redis: RedisServer) -> None:
    client = any_redis.client()
    fill(client, 1)
    types = {client.type(key) for key in client.scan_iter(count=1000)}
    assert types == {b"string", b"hash", b"list", b"set", b"zset", b"stream"}
    assert any_redis.counts()[1][0] == any_redis.counts()[1][1], "the page cache expires, all of it"


def test_counters_end_on_the_day_that_is_asked_for(any_redis: RedisServer) -> None:
    fill(any_redis.client(), 1, last_day=datetime.date(2030, 1, 31))
    days = {key.rpartition(b":")[2] for key in any_redis.client().scan_iter("metric:*", count=1000)}
    assert (min(days), max(days), len(days)) == (b"20281228", b"20300131", 400)


@pytest.mark.parametrize("megabytes", [0, 20])
def test_it_takes_about_as_much_memory_as_asked(redis_server: RedisServer, megabytes: int) -> None:
    client = redis_server.client()
    before = client.info("memory")["used_memory"]
    fill(client, megabytes)
    assert (client.info("memory")["used_memory"] - before) / 1e6 == pytest.approx(megabytes, rel=0.2, abs=1)

"""A random sample of a real server's keys: what it finds, how fair it is, and that looking leaves no trace."""

from __future__ import annotations

import random
from typing import Any

import pytest
import redis
from rig.redis_servers import RedisServer

from tasks import sample
from tasks.errors import ServerDenied
from tasks.facts import NEEDS, NEVER, KeyFacts
from tasks.server import Server


def by_key(found: sample.Sample) -> dict[bytes, KeyFacts]:
    return {each.key: each for each in found.draws}


def filled(client: redis.Redis, number: int, prefix: str = "k") -> None:
    pipe = client.pipeline(transaction=False)
    for at in range(number):
        pipe.set(f"{prefix}:{at}", "x" * (at % 50))
    pipe.execute()


def taken(server: RedisServer, count: int, needs: Any = NEEDS, **options: Any) -> sample.Sample:
    with Server(server.url) as ours:
        return sample.take(ours, count, needs, rng=random.Random(7), **options)


def test_a_small_keyspace_is_looked_at_whole_with_every_fact(redis_server: RedisServer) -> None:
    client = redis_server.client()
    client.set(b"\xff\x00 raw", "x" * 1000, px=500_000)
    client.rpush("list", *range(3))
    client.hset("hash", mapping={"a": 1, "b": 2})
    client.sadd("set", 1)
    client.zadd("zset", {"a": 1, "b": 2, "c": 3, "d": 4})
    client.xadd("stream", {"a": 1})
    redis_server.client(db=3).set("elsewhere", 1)
    found = taken(redis_server, 100)
    facts = by_key(found)
    assert found.exact
    assert found.by_database == {0: 6, 3: 1}
    assert {key: each.elements for key, each in facts.items() if each.elements is not None} == {
        b"list": 3, b"hash": 2, b"set": 1, b"zset": 4, b"stream": 1
    }
    raw = facts[b"\xff\x00 raw"]
    assert (raw.type, raw.database, raw.elements, raw.freq) == ("string", 0, None, None)
    assert raw.ttl is not None
    assert 0 < raw.ttl <= 500
    assert raw.bytes is not None
    assert 1000 < raw.bytes < 2000
    assert raw.idle is not None
    assert facts[b"list"].ttl == NEVER
    assert facts[b"elsewhere"].database == 3
    assert found.share(lambda each: each.type == "string").value == pytest.approx(2 / 7)


def test_databases_that_are_not_asked_for_are_not_looked_into(any_redis: RedisServer) -> None:
    any_redis.client().set("a", 1)
    any_redis.client(db=2).set("b", 1)
    assert set(by_key(taken(any_redis, 10, databases=[2]))) == {b"b"}
    assert taken(any_redis, 10, databases=[5]).draws == ()


def test_a_large_keyspace_is_drawn_from_by_the_databases_sizes(redis_server: RedisServer) -> None:
    filled(redis_server.client(), 3000, "big")
    filled(redis_server.client(db=1), 1000, "small")
    found = taken(redis_server, 1000, {"bytes"})
    assert (found.exact, len(found.draws), found.population) == (False, 1000, 4000)
    small = found.share(lambda each: each.key.startswith(b"small"))
    assert small.low <= 0.25 <= small.high
    assert all(each.bytes and each.ttl is None for each in found.draws)


def test_every_key_is_as_good_as_another_whenever_it_was_written(redis_server: RedisServer) -> None:
    """In the middle of growing, too, when old keys and new ones lie in two tables."""
    filled(redis_server.client(), 5000)
    found = taken(redis_server, 4900, {"type"})
    older = found.share(lambda each: int(each.key[2:]) < 2500)
    assert older.low - 0.02 <= 0.5 <= older.high + 0.02


def test_looking_makes_no_key_young(redis_server: RedisServer) -> None:
    """Except for counting elements before 7.2, which nothing can prevent; idle time is read before it."""
    client = redis_server.client()
    client.rpush("list", 1)
    client.set("text", "x")
    for key in ("list", "text"):
        payload = client.dump(key)
        client.restore(key, 0, payload, replace=True, idletime=5000)
    looks = [taken(redis_server, 10, NEEDS) for _ in range(2)]
    assert all(each.idle is not None and each.idle >= 5000 for each in looks[0].draws)
    touched = redis_server.flavour in ("redis6", "redis7")
    idle = by_key(looks[1])
    assert idle[b"text"].idle >= 5000
    assert (idle[b"list"].idle < 5000) is touched
    again = by_key(taken(redis_server, 10, NEEDS - {"elements"}))
    assert again[b"text"].idle >= 5000


def test_what_the_eviction_policy_does_not_keep_is_not_known(redis_server: RedisServer) -> None:
    client = redis_server.client()
    client.config_set("maxmemory-policy", "allkeys-lfu")
    client.set("a", 1)
    (found,) = taken(redis_server, 10).draws
    assert found.idle is None
    assert found.freq is not None


def test_a_user_who_may_not_look_is_told_which_right_is_missing(any_redis: RedisServer) -> None:
    any_redis.client().set("a", 1)
    any_redis.client().execute_command("ACL", "SETUSER", "ops", "on", ">pw", "~*", "+@all", "-memory")
    with Server(any_redis.url.replace("redis://", "redis://ops:pw@")) as ours, pytest.raises(ServerDenied) as refused:
        sample.take(ours, 10, NEEDS)
    assert "+memory" in refused.value.hint


def test_an_empty_server_gives_an_empty_sample(any_redis: RedisServer) -> None:
    found = taken(any_redis, 10)
    assert (found.draws, found.population, found.exact) == ((), 0, True)
    assert found.share(lambda _: True).value == 0

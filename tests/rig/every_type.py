"""One key of every type, in every encoding that matters, and their values as a client reads them: to compare what came
back with what there was, without DUMP.
"""

from __future__ import annotations

from typing import Any

import redis

__all__ = ["fill", "values"]

YEAR = 31_536_000_000
"""Milliseconds."""


def fill(client: redis.Redis, prefix: str = "old:", now: int = 1_800_000_000_000) -> None:
    """Keys of every type, small and large, some of which expire a year after `now` (ms since 1970)."""
    client.set(f"{prefix}text", "käse\x00\xff".encode("latin-1", "replace"))
    client.set(f"{prefix}number", 12345)
    client.set(f"{prefix}long", "x" * 30_000, pxat=now + YEAR)
    client.set(b"%b\xff\x00\n raw" % prefix.encode(), "x")
    client.rpush(f"{prefix}list", *range(50))
    client.rpush(f"{prefix}long list", *("y" * 100 for _ in range(500)))
    client.hset(f"{prefix}hash", mapping={"a": 1, "b": "x" * 100})
    client.hset(f"{prefix}large hash", mapping={f"f{at}": at for at in range(2000)})
    client.sadd(f"{prefix}numbers", *range(100))
    client.sadd(f"{prefix}large set", *(f"m{at}" for at in range(2000)))
    client.zadd(f"{prefix}ranks", {"a": 1.5, "b": float("inf"), "c": -3})
    client.zadd(f"{prefix}large ranks", {f"m{at}": at / 7 for at in range(2000)})
    for at in range(20):
        client.xadd(f"{prefix}stream", {"n": at}, id=f"{at + 1}-0")
    client.xgroup_create(f"{prefix}stream", "readers", id="0")
    client.xreadgroup("readers", "one", {f"{prefix}stream": ">"}, count=5)
    client.xgroup_create(f"{prefix}stream", "late", id="$")
    for key in ("list", "large hash", "stream"):
        client.pexpireat(f"{prefix}{key}", now + YEAR)
    if _has_field_ttls(client):
        client.execute_command("HPEXPIREAT", f"{prefix}hash", now + YEAR, "FIELDS", 1, "a")


def values(client: redis.Redis, match: str = "*") -> dict[bytes, Any]:
    """Every key with its type, its value, and the moment it expires (to ten seconds, None: never)."""
    return {key: _told(client, key) for key in client.scan_iter(match)}


def _told(client: redis.Redis, key: bytes) -> tuple[str, Any, float | None]:
    kind = client.type(key).decode()
    left = client.pttl(key)
    seconds, micros = client.time()
    expires = None if left < 0 else round(seconds + micros / 1e6 + left / 1000, -1)
    return kind, _READ[kind](client, key), expires


def _hash(client: redis.Redis, key: bytes) -> Any:
    fields = client.hgetall(key)
    if not _has_field_ttls(client):
        return fields
    moments = client.execute_command("HPEXPIRETIME", key, "FIELDS", len(fields), *fields)
    return fields, dict(zip(fields, moments, strict=True))


def _stream(client: redis.Redis, key: bytes) -> Any:
    groups = client.xinfo_groups(key)
    pending = {each["name"]: client.xpending(key, each["name"]) for each in groups}
    told = [{name: each[name] for name in ("name", "consumers", "pending", "last-delivered-id")} for each in groups]
    return client.xrange(key), told, pending, client.xinfo_stream(key)["last-generated-id"]


_READ: dict[str, Any] = {
    "string": lambda client, key: client.get(key),
    "list": lambda client, key: client.lrange(key, 0, -1),
    "hash": _hash,
    "set": lambda client, key: client.smembers(key),
    "zset": lambda client, key: client.zrange(key, 0, -1, withscores=True),
    "stream": _stream,
}


def _has_field_ttls(client: redis.Redis) -> bool:
    """From Redis 7.4 and Valkey 9 on."""
    try:
        client.execute_command("HPEXPIRETIME", "none", "FIELDS", 1, "none")
    except redis.ResponseError:
        return False
    return True

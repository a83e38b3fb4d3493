"""What a restored data set must be. The judging is pure; the reading is bounded."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import redis

from tasks.manifest import Manifest
from tasks.restore.counts import differences
from tasks.server import Checkpoint
from tasks.settings import Drill

__all__ = ["objections", "read_sample"]

SAMPLE = 200
"""Keys read in each database, at random."""


def _encoding(client: Any, key: bytes) -> object:
    return client.object("encoding", key)


_READ: dict[bytes, Callable[[Any, bytes], object]] = {
    b"string": lambda client, key: client.getrange(key, 0, 1023),
    b"list": lambda client, key: client.lrange(key, 0, 9),
    b"hash": lambda client, key: client.hscan(key, count=10),
    b"set": lambda client, key: client.sscan(key, count=10),
    b"zset": lambda client, key: client.zrange(key, 0, 9),
    b"stream": lambda client, key: client.xrange(key, count=10),
}
"""How a key of each type is read without reading all of it; a module's type is only asked for its encoding."""


def objections(
    manifest: Manifest,
    keys: Mapping[str, int],
    *,
    unreadable: Sequence[str] = (),
    unexpected: Sequence[str] = (),
    wanted: Drill,
    before: int | None,
) -> list[str]:
    """All that is wrong with what was restored; nothing, if it is as it should be.

    Args:
        keys: per database, expired ones included. before: of the previous backup, over all databases.
    """
    found = differences(manifest, keys)
    found += [f"key {name} cannot be read" for name in unreadable]
    expected = {each.key: each.exists for each in wanted.expect}
    found += [f"key {key} is {'missing' if expected[key] else 'there'}, against expect" for key in unexpected]
    total = sum(keys.values())
    if total < wanted.min_keys:
        found.append(f"{total} keys, below min_keys = {wanted.min_keys}")
    if before and total < wanted.min_share_of_previous * before:
        share = f"{total / before:.0%} of the {before} keys before it"
        found.append(f"{share}, below min_share_of_previous = {wanted.min_share_of_previous:g}")
    return found


def read_sample(
    connect: Callable[[int], redis.Redis], keys: Mapping[str, int], checkpoint: Checkpoint
) -> tuple[int, list[str]]:
    """Read some keys of each database, each as its type is read. How many were, and which could not be."""
    read, unreadable = 0, []
    for database in keys:
        client: Any = connect(int(database))
        names = {client.randomkey() for _ in range(min(SAMPLE, 2 * keys[database]))} - {None}
        for name in names:
            checkpoint()
            try:
                kind = client.type(name)
                if kind == b"none":  # expired: a replica keeps it, and does not show it
                    continue
                _READ.get(kind, _encoding)(client, name)
            except redis.ResponseError:
                unreadable.append(f"{name[:64]!r} in db{database}")
            read += 1
    return read, unreadable

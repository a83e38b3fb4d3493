"""Streams to put into a store, and where to."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from tasks.store.client import Limits

__all__ = ["KEY", "MIB", "PART", "QUICK", "TWICE", "dying", "noise", "pieces", "three_parts"]

MIB = 1024 * 1024
PART = 5 * MIB
"""The smallest part that S3 takes."""

KEY = "main/snapshots/20261123T110700Z-00ff00ff.rdb.zst.age"
QUICK = Limits(connect=2, read=2, attempts=1)
TWICE = Limits(connect=2, read=2, attempts=2)


def noise(length: int) -> bytes:
    """The same bytes each time, no two blocks of them alike."""
    return hashlib.shake_128(b"redkeep").digest(length)


def pieces(body: bytes, step: int) -> Iterator[bytes]:
    """The body in chunks of ``step`` bytes."""
    for start in range(0, len(body), step):
        yield body[start : start + step]


def three_parts() -> Iterator[bytes]:
    """15 MiB: an upload in three parts of 5 MiB."""
    for number in range(3):
        yield bytes([number]) * PART


def dying(chunks: int, error: BaseException) -> Iterator[bytes]:
    """So many MiB, and then the error."""
    for _ in range(chunks):
        yield noise(MIB)
    raise error

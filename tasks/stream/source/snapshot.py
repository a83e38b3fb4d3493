"""A snapshot under way: its bytes, and what was true at the fork."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from tasks.manifest import SourceFacts

__all__ = ["CHUNK", "Snapshot"]

CHUNK = 2**20
"""Bytes in a chunk: large enough that Python's share per chunk does not count, small beside a part."""


@dataclass
class Snapshot:
    """What a source yields.

    Attributes:
        chunks: the RDB; ends normally only after the source is proven to be whole, else raises.
        keys, expires: per database, at the fork (`exact`) or just before it.
        checksum_off: the server says `rdbchecksum no`, so the RDB's trailer is zero.
        expected_bytes: an estimate of the RDB's length for progress and part sizes; 0 where there is none.
        abandon: ends a wait for the next chunk from another thread: nobody wants it any more.
        note: why this was not the first choice of source, or nothing.
    """

    kind: Literal["follow", "stream"]
    keys: dict[str, int]
    expires: dict[str, int]
    exact: bool
    checksum_off: bool
    expected_bytes: int
    chunks: Iterator[bytes] = field(default_factory=lambda: iter(()))
    abandon: Callable[[], None] = lambda: None
    fork_usec: int | None = None
    cow_bytes: int | None = None
    seconds: float = 0.0
    note: str = ""

    def facts(self) -> SourceFacts:
        """For the manifest, once the source is closed."""
        return SourceFacts(
            kind=self.kind,
            exact=self.exact,
            fork_usec=self.fork_usec,
            cow_bytes=self.cow_bytes,
            seconds=round(self.seconds, 3),
        )

"""A stream of any length cut into parts: how big each is, and their buffers. Pure, no network."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tasks.errors import StoreUnusable

__all__ = ["Buffers", "Part", "PartBody", "PartSizes", "cut"]

MIB = 1024 * 1024
GIB = 1024 * MIB

# Amazon S3 User Guide, "Amazon S3 multipart upload limits".
MIN_PART = 5 * MIB
MAX_PART = 5 * GIB
MAX_PARTS = 10_000

EQUAL_PARTS = 5_000
"""Cloudflare R2 takes only parts of one size (its document "Multipart upload"); so long ours are."""

STEP = 1_000
"""Beyond the equal ones, how many parts there are of each size; the next size is double."""


@dataclass(frozen=True)
class PartSizes:
    """How big each part is, in bytes, decided before the stream's length is known.

    The first 5,000 are equal: what is configured, or what ``size_hint`` needs to fit into them. A stream
    that outgrows its hint goes on in parts of twice, 4, 8, 16 and 32 times that: 16 MiB and no hint hold
    1.1 TB, and a hint holds what it says and 12 times more.

    >>> sizes = PartSizes(16 * MIB)
    >>> [sizes.of(number) // MIB for number in (1, 5_000, 5_001, 6_001, 10_000)]
    [16, 16, 32, 64, 512]
    >>> PartSizes(16 * MIB, size_hint=200 * GIB).of(1) // MIB
    41
    """

    configured: int
    size_hint: int = 0

    def of(self, number: int) -> int:
        """Part ``number``'s size, counted from 1. Raises StoreUnusable past the 10,000th."""
        if number > MAX_PARTS:
            raise StoreUnusable(
                f"the stream does not fit into {MAX_PARTS} parts", hint="Raise [store] part_size and try again."
            )
        doublings = -(-max(0, number - EQUAL_PARTS) // STEP)
        return min(self.first << doublings, MAX_PART)

    @property
    def first(self) -> int:
        """The size of the equal parts: whole MiB, at least S3's 5 MiB."""
        wanted = max(self.configured, MIN_PART, -(-self.size_hint // EQUAL_PARTS))
        return min(-(-wanted // MIB) * MIB, MAX_PART)


class Buffers:
    """Parts' memory, used again: allocating and zeroing 16 MiB for each would cost as much as filling them."""

    def __init__(self) -> None:
        self._free: list[bytearray] = []

    def take(self, size: int) -> bytearray:
        """A buffer of exactly ``size`` bytes, whatever is in it."""
        if self._free and len(self._free[-1]) == size:
            return self._free.pop()
        self._free.clear()
        return bytearray(size)

    def give(self, buffer: bytearray) -> None:
        """Take back a buffer that nobody reads any more."""
        self._free.append(buffer)


@dataclass(frozen=True)
class Part:
    """The first ``length`` bytes of a buffer, as part ``number``."""

    number: int
    buffer: bytearray
    length: int

    @property
    def view(self) -> memoryview:
        return memoryview(self.buffer)[: self.length]


def cut(chunks: Iterator[bytes], sizes: PartSizes, take: Callable[[int], bytearray]) -> Iterator[Part]:
    """The stream as full parts and a shorter last one; an empty stream is one empty part.

    Each byte is copied once. A part's buffer is its receiver's until given back to the pool behind ``take``.
    """
    number, filled, buffer = 1, 0, take(sizes.of(1))
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            if filled == len(buffer):
                yield Part(number, buffer, filled)
                number, filled, buffer = number + 1, 0, take(sizes.of(number + 1))
            room = min(len(rest), len(buffer) - filled)
            memoryview(buffer)[filled : filled + room] = rest[:room]  # a view: bytearray would copy it twice
            filled, rest = filled + room, rest[room:]
    yield Part(number, buffer, filled)


class PartBody:
    """A part as a file that botocore can send, and send again, without copying it.

    A file, not bytes: urllib3 gives one ``sendall`` no longer than the connect timeout (urllib3 issue 857), which a
    whole part on a slow line would exceed; from a file it sends blocks, each with its own time. http.client asks for
    16 KiB at once and sends whatever it gets: larger blocks halve the cost of sending, and 256 KiB still pass a line of
    26 kB/s within the ten seconds.
    """

    BLOCK = 256 * 1024

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def __len__(self) -> int:
        return len(self._view)

    def read(self, size: int | None = -1) -> memoryview:
        """The next block, of ``size`` bytes or more; without a size the rest; empty at the end."""
        end = len(self._view) if size is None or size < 0 else self._at + max(size, self.BLOCK)
        block = self._view[self._at : end]
        self._at += len(block)
        return block

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Only within the part."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._view)}[whence]
        self._at = origin + offset
        return self._at

    def tell(self) -> int:
        return self._at

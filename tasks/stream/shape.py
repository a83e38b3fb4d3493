"""The one byte shape, and who closes what.

A stage takes an iterator of byte strings and is one itself. Chunks are of any length, empty ones included.
Nothing happens before the first ``next``, raising included; from then on the stage owns what it reads from, and
closes it when it ends, fails or is closed early. A stage that was never begun holds nothing and closes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

__all__ = ["PIECE", "gathered", "owned"]

PIECE = 1 << 20
"""Bytes that a stage gives out at once, about: large enough that the cost of a Python step vanishes."""


@contextmanager
def owned(chunks: Iterator[bytes]) -> Iterator[Iterator[bytes]]:
    """Close ``chunks`` on the way out, whatever the way; an iterator that cannot be closed is left alone.

    >>> def source():
    ...     try:
    ...         yield b"one"
    ...     finally:
    ...         print("closed")
    >>> with owned(source()) as chunks:
    ...     next(chunks)
    b'one'
    closed
    """
    try:
        yield chunks
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()


def gathered(pieces: Iterable[bytes], least: int = PIECE) -> Iterator[bytes]:
    """The same bytes in chunks of at least ``least`` bytes, the last one excepted; no empty ones.

    >>> list(gathered([b"ab", b"", b"c", b"defgh", b"i"], least=3))
    [b'abc', b'defgh', b'i']
    """
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= least:
            yield b"".join(held)
            held, size = [], 0
    if size:
        yield b"".join(held)

"""gzip (RFC 1952), for whoever must read it without zstd. The header has no name and no time: equal in, equal out."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from tasks.errors import CompressionCorrupt
from tasks.stream.frames import unframed
from tasks.stream.shape import PIECE, gathered, owned

__all__ = ["LEVELS", "compress", "decompress"]

LEVELS = range(1, 10)
WINDOW = 16 + zlib.MAX_WBITS
"""zlib's way to say: a window of 32 KiB, with gzip's header and trailer around it."""


def compress(chunks: Iterator[bytes], level: int) -> Iterator[bytes]:
    """One member, whose trailer is written only after ``chunks`` ended by itself."""
    with owned(chunks):
        yield from gathered(_compressed(chunks, level))


def decompress(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The content of one member or of several on end, at most 1 MiB at a time however well it was compressed.

    Raises CompressionCorrupt for a wrong CRC or length, a member that does not end, anything that is no member
    (stock gzip lets trailing zeros pass, this does not), or no bytes at all. What was given out before that is
    not to be trusted: the CRC stands at the end.
    """
    return unframed(chunks, "gzip member", _decoder, _decoded)


def _compressed(chunks: Iterator[bytes], level: int) -> Iterator[bytes]:
    encoder = zlib.compressobj(level, zlib.DEFLATED, WINDOW)
    for chunk in chunks:
        yield encoder.compress(chunk)
    yield encoder.flush()


def _decoder() -> zlib._Decompress:
    return zlib.decompressobj(WINDOW)


def _decoded(decoder: zlib._Decompress, feed: bytes) -> Iterator[bytes]:
    """All that can be had with ``feed`` added, up to the member's end."""
    try:
        while True:
            if made := decoder.decompress(feed, PIECE):
                yield made
            if decoder.eof or (len(made) < PIECE and not decoder.unconsumed_tail):
                return
            feed = decoder.unconsumed_tail
    except zlib.error as problem:
        raise CompressionCorrupt("not what a gzip compressor wrote", detail=str(problem)) from None

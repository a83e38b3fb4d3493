"""zstd (RFC 8878), one frame with a content checksum, so that stock ``zstd -d`` opens and checks what we wrote."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from tasks.errors import CompressionCorrupt
from tasks.stream.frames import unframed
from tasks.stream.shape import PIECE, owned

if sys.version_info >= (3, 14):
    from compression import zstd as codec
else:
    from backports import zstd as codec

__all__ = ["LEVELS", "WORKERS", "compress", "decompress"]

LEVELS = range(1, 20)
"""Above 19 lie the levels that need ``--ultra``, and a reader with more memory."""
WORKERS = max(0, min(2, (os.cpu_count() or 1) - 2))
"""Threads of the library's own, one for each core that neither the server nor its saving child needs. On two cores
there is none to spare: a worker there cost 10 to 30 % more CPU for the same bytes. Memory
at level 1, 3 (MiB): none 7, 9; one 23, 53; two 27, 77."""
WINDOW_LOG_MAX = 27
"""128 MiB, what stock ``zstd -d`` accepts without ``--long``. We write 8 MiB at most (level 19); a frame header
may ask for 2 GiB, and the reader would set that aside before one byte is checked."""


def compress(chunks: Iterator[bytes], level: int, workers: int = WORKERS) -> Iterator[bytes]:
    """One frame, whose end is written only after ``chunks`` ended by itself; no bytes make an empty frame.

    ``workers`` threads of the library's own compress beside the caller's; 0 compresses in the caller's.
    """
    with owned(chunks):
        encoder = _encoder(level, workers)
        for chunk in chunks:
            if made := encoder.compress(chunk):
                yield made
        yield encoder.flush()


def decompress(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The content of one frame or of several on end, at most 1 MiB at a time however well it was compressed.

    Raises CompressionCorrupt for a wrong checksum, a frame that does not end, anything that is no frame, or
    no bytes at all. What was given out before that is not to be trusted: the checksum stands at the end.
    """
    return unframed(chunks, "zstd frame", _decoder, _decoded)


def _encoder(level: int, workers: int) -> codec.ZstdCompressor:
    option = codec.CompressionParameter
    most = option.nb_workers.bounds()[1]  # 0 where the library was built without threads
    return codec.ZstdCompressor(
        options={
            option.compression_level: level,
            option.checksum_flag: 1,
            option.nb_workers: min(workers, most),
        }
    )


def _decoder() -> codec.ZstdDecompressor:
    return codec.ZstdDecompressor(options={codec.DecompressionParameter.window_log_max: WINDOW_LOG_MAX})


def _decoded(decoder: codec.ZstdDecompressor, feed: bytes) -> Iterator[bytes]:
    """All that can be had with ``feed`` added, up to the frame's end."""
    try:
        while True:
            if made := decoder.decompress(feed, PIECE):
                yield made
            if decoder.eof or decoder.needs_input:
                return
            feed = b""
    except codec.ZstdError as problem:
        raise CompressionCorrupt("not what a zstd compressor wrote", detail=str(problem)) from None

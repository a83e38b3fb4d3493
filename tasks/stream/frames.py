"""What decompressing has in common: an object holds one frame or several on end, whole, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from tasks.errors import CompressionCorrupt
from tasks.stream.shape import owned

__all__ = ["Decoder", "unframed"]


class Decoder(Protocol):
    """One frame's decoder, as the standard library's modules make them."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...


D = TypeVar("D", bound=Decoder)


def unframed(
    chunks: Iterator[bytes], noun: str, new: Callable[[], D], feed: Callable[[D, bytes], Iterator[bytes]]
) -> Iterator[bytes]:
    """The content of every frame in ``chunks``.

    ``new`` makes a frame's decoder; ``feed`` gives it bytes and yields what comes of them, up to the frame's end.
    Raises CompressionCorrupt for a frame that does not end, and for no bytes at all, which are no frame; ``feed``
    raises it for what is wrong within one, and so for anything that follows the last.
    """
    with owned(chunks):
        decoder = new()
        begun = False
        for chunk in chunks:
            rest = chunk
            while rest:
                begun = True
                if decoder.eof:
                    decoder = new()
                yield from feed(decoder, rest)
                rest = decoder.unused_data
        if not begun:
            raise CompressionCorrupt(f"no bytes at all, where a {noun} was to be")
        if not decoder.eof:
            raise CompressionCorrupt(f"the {noun} does not end")

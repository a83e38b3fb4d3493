"""The payload: a nonce, then chunks of 64 KiB, each sealed by itself (age spec, "Payload").

A chunk's nonce counts it and says whether it is the last, so that none can be dropped, repeated, moved or added.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from itertools import chain

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tasks.errors import AgeCorrupt
from tasks.stream.shape import gathered

__all__ = ["CHUNK", "NONCE_SIZE", "TAG", "key", "new_nonce", "read_nonce", "seal", "unseal"]

CHUNK = 64 << 10
"""Plaintext bytes of every chunk but the last (age spec)."""
TAG = 16
"""Bytes that Poly1305 adds to each (RFC 7539)."""
NONCE_SIZE = 16
"""Bytes before the first chunk, from which the payload key is derived; not the nonce of any chunk."""


def new_nonce() -> bytes:
    return secrets.token_bytes(NONCE_SIZE)


def key(file_key: bytes, nonce: bytes) -> bytes:
    """The 32 bytes that seal the chunks."""
    return HKDF(algorithm=SHA256(), length=32, salt=nonce, info=b"payload").derive(file_key)


def read_nonce(chunks: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The nonce, and the iterator of everything after it. Raises AgeCorrupt where there is not that much."""
    held = bytearray()
    for chunk in chunks:
        held += chunk
        if len(held) >= NONCE_SIZE:
            return bytes(held[:NONCE_SIZE]), chain((bytes(memoryview(held)[NONCE_SIZE:]),), chunks)
    raise AgeCorrupt("the payload ends inside its nonce")


def seal(chunks: Iterator[bytes], payload_key: bytes) -> Iterator[bytes]:
    """The sealed chunks, some 1 MiB of them at a time. An empty payload is one empty chunk."""
    return gathered(_seal(chunks, ChaCha20Poly1305(payload_key)))


def unseal(chunks: Iterator[bytes], payload_key: bytes) -> Iterator[bytes]:
    """What was sealed, some 1 MiB at a time, each byte authenticated before it is given out. Raises AgeCorrupt."""
    return gathered(_unseal(chunks, ChaCha20Poly1305(payload_key)))


def _seal(chunks: Iterator[bytes], cipher: ChaCha20Poly1305) -> Iterator[bytes]:
    for number, (block, last) in enumerate(_blocks(chunks, CHUNK)):
        yield cipher.encrypt(_nonce(number, last), block, None)


def _unseal(chunks: Iterator[bytes], cipher: ChaCha20Poly1305) -> Iterator[bytes]:
    for number, (block, last) in enumerate(_blocks(chunks, CHUNK + TAG)):
        try:
            plain = cipher.decrypt(_nonce(number, last), block, None)
        except InvalidTag:
            raise AgeCorrupt(f"chunk {number} of the payload does not authenticate") from None
        if number and not plain:
            raise AgeCorrupt(f"chunk {number} of the payload is empty, and not the only one")
        yield plain


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _blocks(chunks: Iterator[bytes], size: int) -> Iterator[tuple[memoryview | bytearray, bool]]:
    """The same bytes in blocks of ``size``, each with whether it is the last, which alone may be shorter.

    No bytes at all are one empty block. Only what straddles two chunks, or could be the last, is copied; a
    block is good until the next one is asked for.
    """
    held = bytearray()
    for chunk in chunks:
        view = memoryview(chunk)
        start = min(size - len(held), len(view)) if held else 0
        held += view[:start]
        if start == len(view):
            continue
        if held:
            yield held, False
            held = bytearray()
        while len(view) - start > size:
            yield view[start : start + size], False
            start += size
        held += view[start:]
    yield held, True

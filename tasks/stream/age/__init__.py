"""age v1 (https://c2sp.org/age) with X25519 recipients, so that stock ``age -d`` opens what we wrote.

Files:
    keys.py      recipients and identities as age writes them
    header.py    the text before the payload, in and out
    x25519.py    wrapping the file key for a recipient, and unwrapping it
    payload.py   the 64 KiB chunks
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

from tasks.stream.age import header, payload, x25519
from tasks.stream.age.keys import generate_identity, read_identities, recipient_of
from tasks.stream.age.x25519 import check_recipient
from tasks.stream.shape import owned

__all__ = [
    "check_recipient",
    "decrypt",
    "encrypt",
    "generate_identity",
    "read_identities",
    "recipient_of",
]

FILE_KEY_SIZE = 16
"""Bytes of the key that a file's recipients share (age spec, "File key")."""


def encrypt(chunks: Iterator[bytes], recipients: Sequence[str]) -> Iterator[bytes]:
    """Encrypt to every one of ``recipients`` (``age1...``), at least one; any one identity opens it.

    The last chunk carries its mark only after ``chunks`` ended by itself.
    Raises KeyInvalid for a recipient that is none, or for more of them than a header has room for.
    """
    with owned(chunks):
        file_key = secrets.token_bytes(FILE_KEY_SIZE)
        stanzas = [x25519.wrap(file_key, recipient) for recipient in recipients]
        nonce = payload.new_nonce()
        yield header.write(stanzas, file_key) + nonce
        yield from payload.seal(chunks, payload.key(file_key, nonce))


def decrypt(chunks: Iterator[bytes], identities: Sequence[str]) -> Iterator[bytes]:
    """Decrypt with whichever of ``identities`` (``AGE-SECRET-KEY-1...``) fits.

    Not one byte is given out that was not authenticated; only a normal end says that they were all.
    Raises KeyInvalid, AgeHeaderInvalid, IdentityMismatch, AgeCorrupt.
    """
    with owned(chunks):
        private = [x25519.Identity(identity) for identity in identities]
        head, rest = header.read(chunks)
        file_key = x25519.unwrap(head.stanzas, private)
        header.authenticate(head, file_key)
        nonce, body = payload.read_nonce(rest)
        yield from payload.unseal(body, payload.key(file_key, nonce))

"""Wrapping the file key for an X25519 recipient, and unwrapping it (age spec, "X25519 recipient stanza")."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tasks.errors import AgeHeaderInvalid, IdentityMismatch, KeyInvalid
from tasks.stream.age.header import Stanza, unbase64
from tasks.stream.age.keys import identity_bytes, recipient_bytes

__all__ = ["Identity", "check_recipient", "unwrap", "wrap"]

KIND = "X25519"
SHARE_SIZE = 32
BODY_SIZE = 32
"""The file key and its tag, 16 bytes each. Checked before decrypting, against partitioning oracles (age spec)."""
INFO = b"age-encryption.org/v1/X25519"
ZERO_NONCE = bytes(12)
"""Fixed by the spec: a wrap key is used once."""


class Identity:
    """A private key, ready for use. Its ``repr`` is the default one and shows nothing of it."""

    def __init__(self, text: str) -> None:
        """Raises KeyInvalid."""
        self._private = X25519PrivateKey.from_private_bytes(identity_bytes(text))
        self._public = self._private.public_key().public_bytes_raw()

    def open(self, share: bytes, body: bytes) -> bytes | None:
        """The file key, or None where the stanza was made for somebody else. Raises AgeHeaderInvalid."""
        try:
            shared = self._private.exchange(X25519PublicKey.from_public_bytes(share))
        except ValueError:  # all zero: the share is a point of low order, and the spec says to abort
            raise AgeHeaderInvalid("an X25519 stanza's share is a point of low order") from None
        try:
            return _wrapper(shared, share, self._public).decrypt(ZERO_NONCE, body, None)
        except InvalidTag:
            return None


def wrap(file_key: bytes, recipient: str) -> Stanza:
    """The stanza from which ``recipient``'s identity gets the file key. Raises KeyInvalid."""
    public = recipient_bytes(recipient)
    ephemeral = X25519PrivateKey.generate()
    share = ephemeral.public_key().public_bytes_raw()
    try:
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:
        raise KeyInvalid("this recipient is a point of low order, to which nothing can be kept secret") from None
    return Stanza.of(KIND, share, body=_wrapper(shared, share, public).encrypt(ZERO_NONCE, file_key, None))


def check_recipient(text: str) -> str:
    """``text`` without surrounding whitespace, if it is a recipient: found out by wrapping a key for it.

    Raises KeyInvalid, which never shows the text.
    """
    recipient = text.strip()
    wrap(bytes(16), recipient)
    return recipient


def unwrap(stanzas: Sequence[Stanza], identities: Sequence[Identity]) -> bytes:
    """The file key, by the first identity that fits any stanza; stanzas of other kinds are passed over.

    Raises AgeHeaderInvalid where an X25519 stanza is malformed, IdentityMismatch where nothing fits.
    """
    ours = list(_ours(stanzas))
    for identity in identities:
        for share, body in ours:
            file_key = identity.open(share, body)
            if file_key is not None:
                return file_key
    raise IdentityMismatch(
        f"none of {len(identities)} identities opens it",
        detail=f"stanzas: {len(stanzas)}, of kind X25519: {len(ours)}",
    )


def _ours(stanzas: Sequence[Stanza]) -> Iterator[tuple[bytes, bytes]]:
    """Share and body of every X25519 stanza, checked."""
    for stanza in stanzas:
        kind, *arguments = stanza.arguments
        if kind != KIND.encode():
            continue
        share = unbase64(arguments[0]) if len(arguments) == 1 else None
        if share is None or len(share) != SHARE_SIZE or len(stanza.body) != BODY_SIZE:
            raise AgeHeaderInvalid("an X25519 stanza has another form than the specification gives it")
        yield share, stanza.body


def _wrapper(shared: bytes, share: bytes, public: bytes) -> ChaCha20Poly1305:
    key = HKDF(algorithm=SHA256(), length=32, salt=share + public, info=INFO).derive(shared)
    return ChaCha20Poly1305(key)

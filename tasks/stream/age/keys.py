"""Recipients and identities as age writes them: bech32 text around 32 bytes.

A recipient is lower case with the prefix ``age``, an identity upper case with ``AGE-SECRET-KEY-`` (age spec, "The
X25519 recipient type"). No error from here shows what was given: sooner or later somebody pastes a private key
where a public one belongs, and errors end in logs.
"""

from __future__ import annotations

import secrets

import bech32
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from tasks.errors import KeyInvalid

__all__ = [
    "generate_identity",
    "identity_bytes",
    "read_identities",
    "recipient_bytes",
    "recipient_of",
]

KEY_SIZE = 32
RECIPIENT_PREFIX = "age"
IDENTITY_PREFIX = "AGE-SECRET-KEY-"


def generate_identity() -> str:
    """A new private key, ``AGE-SECRET-KEY-1...``, from the system's random source."""
    return _encoded(IDENTITY_PREFIX.lower(), secrets.token_bytes(KEY_SIZE)).upper()


def recipient_of(identity: str) -> str:
    """The public key, ``age1...``, of a private one. Raises KeyInvalid."""
    private = X25519PrivateKey.from_private_bytes(identity_bytes(identity))
    return _encoded(RECIPIENT_PREFIX, private.public_key().public_bytes_raw())


def read_identities(text: str) -> list[str]:
    """The identities in an identity file's content, in its order, each once; ``#`` begins a comment line.

    Raises KeyInvalid, which names the line by its number and never shows it, or says that there is none.
    """
    found: dict[str, None] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.strip()
        if not entry or entry.startswith("#"):
            continue
        try:
            identity_bytes(entry)
        except KeyInvalid as problem:
            raise KeyInvalid(f"line {number} of the identity file: {problem.message}") from None
        found[entry] = None
    if not found:
        raise KeyInvalid("no identity stands in the identity file")
    return list(found)


def recipient_bytes(recipient: str) -> bytes:
    """The 32 bytes of the public key. Raises KeyInvalid, which never shows the text."""
    if recipient.upper().startswith("AGE-SECRET-KEY-"):
        raise KeyInvalid(
            "a private key (identity) stands where a recipient belongs",
            hint="Give its public key, `age-keygen -y FILE` prints it; take the private key away from here, "
            "and replace it if others could read this place.",
        )
    if recipient.startswith("age1") and "1" in recipient[4:]:  # a longer prefix: age1pq, age1tag, a plugin's
        raise KeyInvalid("a recipient of another kind than X25519")
    return _decoded(recipient, RECIPIENT_PREFIX, "recipient")


def identity_bytes(identity: str) -> bytes:
    """The 32 bytes of the private key. Raises KeyInvalid, which never shows the text."""
    if identity.startswith("age1"):
        raise KeyInvalid("a recipient (public key) stands where an identity belongs")
    if identity.startswith(("-----BEGIN AGE", "age-encryption.org/")):
        raise KeyInvalid(
            "the identity is itself encrypted with a passphrase",
            hint="Decrypt it first: `age -d FILE > PLAIN`.",
        )
    if identity.startswith(("AGE-SECRET-KEY-PQ-1", "AGE-PLUGIN-")):
        raise KeyInvalid("an identity of another kind than X25519")
    return _decoded(identity, IDENTITY_PREFIX, "identity")


def _encoded(prefix: str, key: bytes) -> str:
    return bech32.bech32_encode(prefix, bech32.convertbits(key, 8, 5) or ())


def _decoded(text: str, prefix: str, kind: str) -> bytes:
    """Strictly: the prefix in its own case (the package then refuses mixed case), checksum, padding, length."""
    found, groups = bech32.bech32_decode(text)
    if not text.startswith(prefix + "1") or found != prefix.lower() or groups is None:
        raise KeyInvalid(f"not an age X25519 {kind}: prefix, case or checksum is wrong")
    key = bech32.convertbits(groups, 5, 8, pad=False)
    if key is None or len(key) != KEY_SIZE:
        raise KeyInvalid(f"not an age X25519 {kind}: it does not hold {KEY_SIZE} bytes")
    return bytes(key)

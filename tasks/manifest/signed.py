"""What manifests have in common: their bytes, and who signed them.

Canonical JSON (RFC 8785), signed with Ed25519 over the canonical form without the signature. A reader refuses
a `format_version` it does not know; within a version, fields it does not know are kept and covered by the
signature.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.errors import KeyInvalid, ManifestInvalid, ManifestTooNew, SignatureInvalid

__all__ = [
    "FORMAT_VERSION",
    "MAX_BYTES",
    "ObjectFacts",
    "Part",
    "ServerFacts",
    "Signed",
    "public_key_of",
    "read_signing_key",
]

FORMAT_VERSION = 1
MAX_BYTES = 2**20
"""A manifest is a few kilobytes; a megabyte of one is not a manifest."""


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow")


class ServerFacts(Part):
    name: Literal["redis", "valkey"]
    version: str
    run_id: str
    role: str
    mode: str
    used_memory: int | None = None


class ObjectFacts(Part):
    key: str
    bytes: int
    sha256: str
    etag: str
    parts: int


class Signature(Part):
    signer: str
    value: str


class Signed(Part):
    """What every manifest says of its object. Times are RFC 3339 in UTC.

    Attributes:
        task_id, run_id: the run and the attempt that wrote it. fence: of the lease it held.
    """

    NOUN: ClassVar[str] = "manifest"
    """What it is the manifest of, for messages."""

    format_version: int = FORMAT_VERSION
    id: str
    target: str
    slot: str | None
    created: str
    task_id: str
    run_id: str
    fence: int
    server: ServerFacts
    object: ObjectFacts
    stages: tuple[str, ...]
    recipients: tuple[str, ...]
    redkeep_version: str
    signature: Signature | None = None

    @property
    def called(self) -> str:
        """As messages name it: "backup 20261123T110700Z"."""
        return f"{self.NOUN} {self.id}"

    @classmethod
    def read(cls, body: bytes) -> Self:
        """Parse what the store gave back.

        Raises:
            ManifestTooNew: a newer redkeep wrote it.
            ManifestInvalid: it is not a manifest.
        """
        if len(body) > MAX_BYTES:
            raise ManifestInvalid("not a manifest", detail=f"longer than {MAX_BYTES} bytes")
        try:
            raw = json.loads(body, parse_int=_number)
        except (ValueError, RecursionError):
            raise ManifestInvalid("not a manifest", detail="not JSON") from None
        version = raw.get("format_version") if isinstance(raw, dict) else None
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise ManifestInvalid("not a manifest", detail="no format_version")
        if version > FORMAT_VERSION:
            raise ManifestTooNew(f"the manifest has format {version}, known here is {FORMAT_VERSION}")
        try:
            manifest = cls.model_validate(raw)
            manifest.signed_form()
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(step) for step in first["loc"])
            raise ManifestInvalid("not a manifest", detail=f"{field}: {first['msg'].lower()}") from None
        except (ValueError, RecursionError):  # NaN, 1e999, half a surrogate pair, a thousand brackets
            raise ManifestInvalid("not a manifest", detail="it has no canonical form (RFC 8785)") from None
        return manifest

    def signed(self, key: Ed25519PrivateKey | None) -> Self:
        """The same manifest with that signature; without a key, without one."""
        bare = self.model_copy(update={"signature": None})
        if key is None:
            return bare
        signature = Signature(signer=public_key_of(key), value=_base64(key.sign(bare.signed_form())))
        return bare.model_copy(update={"signature": signature})

    def authenticate(self, trusted: Sequence[str]) -> bool:
        """Whether one of the trusted signers signed this very content. With none trusted: False.

        Raises:
            SignatureInvalid: there are trusted signers and none of them did, or the signature is wrong.
        """
        if self.signature is None:
            if trusted:
                raise SignatureInvalid(f"manifest {self.id} is not signed")
            return False
        try:
            key = Ed25519PublicKey.from_public_bytes(base64.b64decode(self.signature.signer, validate=True))
            key.verify(base64.b64decode(self.signature.value, validate=True), self.signed_form())
        except (InvalidSignature, ValueError, binascii.Error):
            raise SignatureInvalid(f"the signature of manifest {self.id} is wrong") from None
        if trusted and self.signature.signer not in trusted:
            raise SignatureInvalid(f"manifest {self.id} is signed by a stranger", detail=self.signature.signer)
        return bool(trusted)

    def signed_form(self) -> bytes:
        """The bytes that a signature covers."""
        told = self._told()
        told.pop("signature", None)
        return _canonical(told)

    def body(self) -> bytes:
        """The bytes that go to the store."""
        return _canonical(self._told())

    def _told(self) -> dict[str, Any]:
        """What was written here, and nothing that only a default knows: a field that a later redkeep adds must not
        turn up in an older manifest and spoil its signature."""
        return self.model_dump(exclude_unset=True) | {"format_version": self.format_version}


def read_signing_key(pem: bytes) -> Ed25519PrivateKey:
    """The signing key from a PKCS#8 PEM file.

    Raises:
        KeyInvalid: it is something else.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError):
        raise KeyInvalid("the signing key file holds no unencrypted private key in PEM") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyInvalid("the signing key is not an Ed25519 key")
    return key


def public_key_of(key: Ed25519PrivateKey) -> str:
    """The signer's public key in base64, as `trusted_signers` lists it."""
    return _base64(key.public_key().public_bytes_raw())


def _number(text: str) -> int | float:
    """As RFC 8785 reads an integer: a double, where it is too large to be exact as one."""
    value = int(text)
    return value if abs(value) < 2**53 else float(text)


def _canonical(raw: dict[str, Any]) -> bytes:
    return rfc8785.dumps(raw)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()

"""Private keys in files, read when they are needed and not before: identities as age writes them, the signing key."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks.errors import IdentityMissing, KeyInvalid
from tasks.manifest import Signed, read_signing_key
from tasks.stream import age

__all__ = ["identities_for", "signing_key_in"]


def identities_for(manifest: Signed, files: Iterable[Path]) -> list[str]:
    """The private keys in these files; none, and no file looked at, where nothing is encrypted.

    Raises:
        IdentityMissing: it is encrypted, and there is no file or one that cannot be read.
        KeyInvalid: a file holds something else.
    """
    if "age" not in manifest.stages:
        return []
    found = [identity for path in files for identity in _read(path)]
    if not found:
        raise IdentityMissing(f"{manifest.called} is encrypted, and no identity was given")
    return found


def signing_key_in(path: Path | None) -> Ed25519PrivateKey | None:
    """The key that signs manifests; None where there is no such file named.

    Raises:
        KeyInvalid: it cannot be read, or holds something else.
    """
    if path is None:
        return None
    try:
        return read_signing_key(path.read_bytes())
    except OSError as error:
        raise KeyInvalid(f"cannot read the signing key {path}", detail=(error.strerror or "").lower()) from None


def _read(path: Path) -> list[str]:
    try:
        return age.read_identities(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise IdentityMissing(f"cannot read the identity file {path}", detail=reason.lower()) from None
    except KeyInvalid as error:
        raise KeyInvalid(f"{path}: {error.message}", hint="Name the file that begins AGE-SECRET-KEY-1.") from None

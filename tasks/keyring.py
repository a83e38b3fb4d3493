"""Identity files: private keys as age writes them, read when they are needed and not before."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from tasks.errors import IdentityMissing, KeyInvalid
from tasks.manifest import Manifest
from tasks.stream import age

__all__ = ["identities_for"]


def identities_for(manifest: Manifest, files: Iterable[Path]) -> list[str]:
    """The private keys in these files; none, and no file looked at, where the backup is not encrypted.

    Raises:
        IdentityMissing: it is encrypted, and there is no file or one that cannot be read.
        KeyInvalid: a file holds something else.
    """
    if "age" not in manifest.stages:
        return []
    found = [identity for path in files for identity in _read(path)]
    if not found:
        raise IdentityMissing(f"backup {manifest.id} is encrypted, and no identity was given")
    return found


def _read(path: Path) -> list[str]:
    try:
        return age.read_identities(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise IdentityMissing(f"cannot read the identity file {path}", detail=reason.lower()) from None
    except KeyInvalid as error:
        raise KeyInvalid(f"{path}: {error.message}", hint="Name the file that begins AGE-SECRET-KEY-1.") from None

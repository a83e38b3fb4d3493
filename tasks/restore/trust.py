"""Who made a snapshot. RDB files made by an attacker have been remote code execution: authenticate before loading."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.errors import SnapshotUnsigned
from tasks.manifest import Manifest

__all__ = ["admit"]


def admit(manifest: Manifest, trusted: Sequence[str], *, allow_unsigned: bool) -> str:
    """Let the manifest pass, and say what is not known of its maker; nothing where a trusted signer signed it.

    Raises:
        SignatureInvalid: there are trusted signers and none of them signed it, or the signature is wrong.
        SnapshotUnsigned: nobody is trusted here, so nobody vouches for it, and that was not accepted.
    """
    if manifest.authenticate(trusted):
        return ""
    known = "not signed" if manifest.signature is None else "signed, but no trusted signer is set here"
    told = f"backup {manifest.id} is {known}: only its integrity is checked, not who made it"
    if not allow_unsigned:
        raise SnapshotUnsigned(told)
    return told

"""Who made it. RDB files and DUMP payloads made by an attacker have been remote code execution: authenticate first."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.errors import SnapshotUnsigned
from tasks.manifest import Signed

__all__ = ["admit"]


def admit(manifest: Signed, trusted: Sequence[str], *, allow_unsigned: bool) -> str:
    """Let the manifest pass, and say what is not known of its maker; nothing where a trusted signer signed it.

    Raises:
        SignatureInvalid: there are trusted signers and none of them signed it, or the signature is wrong.
        SnapshotUnsigned: nobody is trusted here, so nobody vouches for it, and that was not accepted.
    """
    if manifest.authenticate(trusted):
        return ""
    known = "not signed" if manifest.signature is None else "signed, but no trusted signer is set here"
    told = f"{manifest.called} is {known}: only its integrity is checked, not who made it"
    if not allow_unsigned:
        raise SnapshotUnsigned(told)
    return told

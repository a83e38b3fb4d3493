"""What came back from the store: 70..89."""

from __future__ import annotations

from tasks.errors.root import RedkeepError

__all__ = [
    "AgeCorrupt",
    "AgeHeaderInvalid",
    "BackupMismatch",
    "BackupUnknown",
    "CompressionCorrupt",
    "IdentityMismatch",
    "IdentityMissing",
    "ManifestInvalid",
    "ManifestTooNew",
    "RetentionFrozen",
    "SignatureInvalid",
    "SpoolFull",
    "StructureInvalid",
    "VerdictInvalid",
    "VerdictTooNew",
]


class AgeHeaderInvalid(RedkeepError):
    code = 70
    hint = "This is not an age v1 file, or its beginning was damaged."


class IdentityMismatch(RedkeepError):
    code = 71
    hint = "Give the identity whose recipient stands in the manifest."


class AgeCorrupt(RedkeepError):
    """A chunk that does not authenticate, is missing, or stands in the wrong place."""

    code = 72
    hint = "The object is truncated or was changed; take another backup, and look after the store."


class CompressionCorrupt(RedkeepError):
    code = 73
    hint = "The object is truncated or was changed; take another backup, and look after the store."


class ManifestInvalid(RedkeepError):
    code = 74
    hint = "The manifest cannot be read as one; the snapshot beside it may still be good (docs/recovery.md)."


class ManifestTooNew(RedkeepError):
    code = 75
    hint = "Update redkeep here: the manifest was written by a newer one."


class SignatureInvalid(RedkeepError):
    code = 76
    hint = "Do not load this snapshot unless you know why; the signer must be one of trusted_signers."


class BackupUnknown(RedkeepError):
    code = 77
    hint = "List the backups with `redkeep backups TARGET`."


class BackupMismatch(RedkeepError):
    """The object is not what its manifest says: size, digest or plaintext differ."""

    code = 78
    hint = "Do not load it; take another backup, and look after the store."


class IdentityMissing(RedkeepError):
    code = 79
    hint = "Name the private key with --identity FILE or [encryption] identity_files."


class SpoolFull(RedkeepError):
    code = 80
    retry = True
    hint = "Make room in TMPDIR: the store is slower than the server, and what waits for it is kept there, sealed."


class StructureInvalid(RedkeepError):
    """The bytes are those that were saved, and no server could load them."""

    code = 81
    hint = "Take another backup; if that one is no better, the server writes an RDB that it could not load itself."


class VerdictInvalid(RedkeepError):
    """Never ends a run: an unreadable verdict counts as none."""

    code = 82
    hint = "Verify that backup again; the verdict is then written anew."


class VerdictTooNew(RedkeepError):
    """Never ends a run either, and is never written over."""

    code = 84
    hint = "Update redkeep here: the verdict was written by a newer one."


class RetentionFrozen(RedkeepError):
    """A snapshot shrank, so nothing was removed: the older ones may be the only ones that have it all."""

    code = 83
    hint = "See whether data is missing there; if all is well, say `redkeep acknowledge TARGET`."

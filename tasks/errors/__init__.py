"""Every way a run can fail, each with a fixed code, a hint that says what to do, and whether trying again helps.

The code is the command's exit code too, so codes stay below 126 (above are the shell's) and leave 64 to
usage errors. A code, once given, is never given to another error. The message says what was found, in lower
case and without a stop; the hint is a full sentence in the imperative. None of them may carry a secret: URLs
are shown through :func:`tasks.names.masked_url` only.

>>> error = BucketMissing("no bucket named 'site'", detail="HTTP 404")
>>> error.code, error.name, error.retry
(52, 'bucket-missing', False)
>>> str(error)
"no bucket named 'site' (HTTP 404)"
"""

from __future__ import annotations

from typing import Any

from tasks.errors.archive import ArchiveIncomplete, ArchiveInvalid, ArchiveUnknown, PatternInvalid, UntidyRefused
from tasks.errors.ending import (
    AofOff,
    DemoFailed,
    Paused,
    SlotCommitted,
    Unexpected,
)
from tasks.errors.persistence import (
    AofFoundOff,
    AofUnproven,
    PersistenceUnkept,
    PersistenceUnlasting,
    SettingRefused,
    SettingUnknown,
)
from tasks.errors.recovery import (
    DirectoryInUse,
    DrillFailed,
    DrillServerFailed,
    DrillServerMissing,
    LayoutUnknown,
    MemoryShort,
    RdbTooNew,
    RestoreBusy,
    RestoreCut,
    RestoreMismatch,
    RestoreUnfit,
    RestoreUnpersisted,
    RestoreUnreached,
    SettingsLeft,
    SnapshotUnsigned,
)
from tasks.errors.root import (
    USAGE_EXIT,
    Deferral,
    RedkeepError,
    Skip,
)
from tasks.errors.run import (
    ControlUnreachable,
    LeaseBusy,
    LeaseLost,
    MessageInvalid,
    NoWorker,
    RunCancelled,
    RunUnknown,
    SlotBusy,
    TimeLimitExceeded,
    WorkerLost,
)
from tasks.errors.server import (
    DataDirForeign,
    DataDirUnreadable,
    GuardDeferred,
    GuardRefused,
    ReplicaStale,
    RewriteFailed,
    RewriteUnproven,
    SaveFailed,
    ServerAuthFailed,
    ServerDenied,
    ServerIsReplica,
    ServerLoading,
    ServerRefused,
    ServerSaving,
    ServerUnreachable,
    ServerUnsupported,
    SnapshotCorrupt,
    SnapshotTruncated,
    SnapshotUnproven,
    SyncRefused,
)
from tasks.errors.setup import (
    CheckFailed,
    FileExists,
    FileUnwritable,
    KeyInvalid,
    SecretMissing,
    SettingsInvalid,
    SettingsMissing,
    UnknownTarget,
)
from tasks.errors.snapshot import (
    AgeCorrupt,
    AgeHeaderInvalid,
    BackupMismatch,
    BackupUnknown,
    CompressionCorrupt,
    IdentityMismatch,
    IdentityMissing,
    ManifestInvalid,
    ManifestTooNew,
    RetentionFrozen,
    SignatureInvalid,
    SpoolFull,
    StructureInvalid,
    VerdictInvalid,
    VerdictTooNew,
)
from tasks.errors.store import (
    BucketMissing,
    ObjectExists,
    ObjectMissing,
    StoreDenied,
    StoreFailed,
    StoreFull,
    StoreUnreachable,
    StoreUnusable,
)
from tasks.errors.tidy import (
    ClockMovedBack,
    NoRecentBackup,
    NoRules,
    ShareExceeded,
    TidyUnfit,
)
from tasks.errors.watch import (
    AlertsUnset,
    AlertUndelivered,
)

__all__ = [
    "USAGE_EXIT",
    "AgeCorrupt",
    "AgeHeaderInvalid",
    "AlertUndelivered",
    "AlertsUnset",
    "AofFoundOff",
    "AofOff",
    "AofUnproven",
    "ArchiveIncomplete",
    "ArchiveInvalid",
    "ArchiveUnknown",
    "BackupMismatch",
    "BackupUnknown",
    "BucketMissing",
    "CheckFailed",
    "ClockMovedBack",
    "CompressionCorrupt",
    "ControlUnreachable",
    "DataDirForeign",
    "DataDirUnreadable",
    "Deferral",
    "DemoFailed",
    "DirectoryInUse",
    "DrillFailed",
    "DrillServerFailed",
    "DrillServerMissing",
    "FileExists",
    "FileUnwritable",
    "GuardDeferred",
    "GuardRefused",
    "IdentityMismatch",
    "IdentityMissing",
    "KeyInvalid",
    "LayoutUnknown",
    "LeaseBusy",
    "LeaseLost",
    "ManifestInvalid",
    "ManifestTooNew",
    "MemoryShort",
    "MessageInvalid",
    "NoRecentBackup",
    "NoRules",
    "NoWorker",
    "ObjectExists",
    "ObjectMissing",
    "PatternInvalid",
    "Paused",
    "PersistenceUnkept",
    "PersistenceUnlasting",
    "RdbTooNew",
    "RedkeepError",
    "ReplicaStale",
    "RestoreBusy",
    "RestoreCut",
    "RestoreMismatch",
    "RestoreUnfit",
    "RestoreUnpersisted",
    "RestoreUnreached",
    "RetentionFrozen",
    "RewriteFailed",
    "RewriteUnproven",
    "RunCancelled",
    "RunUnknown",
    "SaveFailed",
    "SecretMissing",
    "ServerAuthFailed",
    "ServerDenied",
    "ServerIsReplica",
    "ServerLoading",
    "ServerRefused",
    "ServerSaving",
    "ServerUnreachable",
    "ServerUnsupported",
    "SettingRefused",
    "SettingUnknown",
    "SettingsInvalid",
    "SettingsLeft",
    "SettingsMissing",
    "ShareExceeded",
    "SignatureInvalid",
    "Skip",
    "SlotBusy",
    "SlotCommitted",
    "SnapshotCorrupt",
    "SnapshotTruncated",
    "SnapshotUnproven",
    "SnapshotUnsigned",
    "SpoolFull",
    "StoreDenied",
    "StoreFailed",
    "StoreFull",
    "StoreUnreachable",
    "StoreUnusable",
    "StructureInvalid",
    "SyncRefused",
    "TidyUnfit",
    "TimeLimitExceeded",
    "Unexpected",
    "UnknownTarget",
    "UntidyRefused",
    "VerdictInvalid",
    "VerdictTooNew",
    "WorkerLost",
    "catalogue",
    "recorded",
]


def catalogue() -> dict[int, type[RedkeepError]]:
    """Every error by its code.

    >>> sorted(catalogue()) == sorted(set(catalogue()))
    True
    """
    found: dict[int, type[RedkeepError]] = {}
    kinds: list[type[RedkeepError]] = list(RedkeepError.__subclasses__())
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if kind in (Deferral, Skip):
            continue
        if kind.code in found:
            raise AssertionError(f"{kind.__name__} and {found[kind.code].__name__} share code {kind.code}")
        found[kind.code] = kind
    return found


def recorded(told: dict[str, Any]) -> RedkeepError:
    """The error that :meth:`RedkeepError.as_dict` told of.

    >>> recorded(BucketMissing("no bucket", detail="HTTP 404").as_dict())
    BucketMissing('no bucket (HTTP 404)')
    """
    kind = catalogue().get(told["code"], Unexpected)
    return kind(told["message"], hint=told["hint"])

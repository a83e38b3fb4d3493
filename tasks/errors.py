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

import re
from typing import Any, ClassVar

__all__ = ["Deferral", "RedkeepError", "Skip"]

USAGE_EXIT = 64
"""Exit code of a command line that could not be understood (sysexits.h, EX_USAGE)."""


class RedkeepError(Exception):
    """The root. Never raised itself.

    Attributes:
        code: the fixed number, 10..125, and exit code.
        retry: whether the same call may succeed later with nothing mended by hand.
        hint: what to do now, one or two sentences.
    """

    code: ClassVar[int] = 1
    retry: ClassVar[bool] = False
    hint: str = ""

    def __init__(self, message: str, *, detail: str = "", hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.detail = detail
        if hint is not None:
            self.hint = hint

    @property
    def name(self) -> str:
        """The error's name for records and alerts: ``BucketMissing`` is ``bucket-missing``."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", type(self).__name__).lower()

    def __str__(self) -> str:
        return f"{self.message} ({self.detail})" if self.detail else self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.detail, self.hint)

    def as_dict(self) -> dict[str, Any]:
        """The flat form that records, results and ``--json`` carry."""
        return {"code": self.code, "name": self.name, "message": str(self), "hint": self.hint}


def _rebuild(kind: type[RedkeepError], message: str, detail: str, hint: str) -> RedkeepError:
    return kind(message, detail=detail, hint=hint)


class Deferral(RedkeepError):
    """Not now: nothing is broken, something else has to end first. The run is sent again until its bound."""

    retry = True


class Skip(RedkeepError):
    """There is nothing to do. The run ends as `skipped`, which is no failure."""


# -- settings and keys: 10..19 ---------------------------------------------------------------------------


class SettingsMissing(RedkeepError):
    code = 10
    hint = "Run `redkeep init`, then name the file with --config or REDKEEP_CONFIG."


class SettingsInvalid(RedkeepError):
    code = 11
    hint = "Correct the named field; `redkeep init` writes a commented example."


class SecretMissing(RedkeepError):
    code = 12
    hint = "Set the named environment variable or write the named file (mode 0600)."


class UnknownTarget(RedkeepError):
    code = 13
    hint = "Use the name of a [[target]] in redkeep.toml."


class KeyInvalid(RedkeepError):
    """A recipient, an identity or a signing key that cannot be read as one."""

    code = 14
    hint = "Give an age X25519 key as age-keygen or `redkeep init` writes it, or an Ed25519 key in PEM."


class FileExists(RedkeepError):
    code = 15
    hint = "Nothing was overwritten; name another place or move the file away first."


class FileUnwritable(RedkeepError):
    code = 16
    hint = "Name a folder that exists, has room and may be written to."


# -- the control Redis and the run itself: 20..29 --------------------------------------------------------


class ControlUnreachable(RedkeepError):
    code = 20
    retry = True
    hint = "Start the control Redis, or correct [control] url."


class LeaseLost(RedkeepError):
    """The lease ended, or could not be proven in time; whoever has it now may be working."""

    code = 21
    retry = True
    hint = "Nothing was committed; look for a paused machine or an unreachable control Redis."


class LeaseBusy(Deferral):
    code = 22
    hint = "Wait for the named run to end, or cancel it with `redkeep cancel`."


class SlotBusy(Deferral):
    code = 23
    hint = "Another run is doing this slot; its result counts."


class RunUnknown(RedkeepError):
    code = 24
    hint = "List runs with `redkeep history`; a unique beginning of the id is enough."


class RunCancelled(RedkeepError):
    code = 25
    hint = "It was stopped on request and left nothing behind."


class WorkerLost(RedkeepError):
    code = 26
    retry = True
    hint = "Look at the worker's log and at the machine's memory; the broker gives the run to the next worker."


class TimeLimitExceeded(RedkeepError):
    code = 27
    hint = "See in the run's phases which step took so long, and raise [control] time_limit if it is right to."


class NoWorker(RedkeepError):
    code = 28
    retry = True
    hint = "Start one with `redkeep worker QUEUE`; the run waits in its queue meanwhile."


# -- the server under care: 30..49 -----------------------------------------------------------------------


class ServerUnreachable(RedkeepError):
    code = 30
    retry = True
    hint = "Check that the server runs and that [[target]] url is its address."


class ServerAuthFailed(RedkeepError):
    code = 31
    hint = "Correct the user and password in [[target]] url, best through \"${NAME}\" or { file = ... }."


class ServerDenied(RedkeepError):
    code = 32
    hint = "Grant the command to the user of [[target]] url."


class ServerLoading(Deferral):
    code = 33
    hint = "The server is reading its data; it will answer when that is done."


class ServerSaving(Deferral):
    code = 34
    hint = "Another save or rewrite runs on that server; see who starts it if it never ends."


class ServerIsReplica(RedkeepError):
    code = 35
    hint = (
        "Point the target at the primary, or set [target.backup] replica = \"accept\" "
        "if this replica is meant to be backed up."
    )


class DataDirUnreadable(RedkeepError):
    code = 36
    hint = "Let the worker's user into the group that may read the server's data_dir, or set source = \"stream\"."


class DataDirForeign(RedkeepError):
    """The server saved, and nothing of it appeared in data_dir."""

    code = 37
    hint = "Set data_dir to where the worker sees the `dir` of this very server, or set source = \"stream\"."


class SaveFailed(RedkeepError):
    code = 38
    retry = True
    hint = "Read the server's log: most often its disk is full or its memory too short for a fork."


class SnapshotUnproven(RedkeepError):
    """What was read cannot be shown to be what our own save wrote."""

    code = 39
    retry = True
    hint = "Look for another server that uses the same data_dir; the next run starts afresh."


class SyncRefused(RedkeepError):
    code = 40
    hint = "The server must be Redis 6.2 or newer, or Valkey, to stream a snapshot."


class SnapshotTruncated(RedkeepError):
    code = 41
    retry = True
    hint = "The server stopped in the middle; read its log."


class SnapshotCorrupt(RedkeepError):
    code = 42
    retry = True
    hint = "The bytes are not what the server wrote; check disk, memory and network of that machine."


class ServerUnsupported(RedkeepError):
    code = 43
    hint = "redkeep keeps Redis 6.2 and newer, and Valkey."


class ServerRefused(RedkeepError):
    """A command was answered with an error that none of the others covers."""

    code = 44
    hint = "Read the server's answer; `redkeep check` tries each command by itself."


class ReplicaStale(Deferral):
    code = 45
    hint = "The replica's link to its primary is down, so its data may be old; mend the link."


# -- the store: 50..63 -----------------------------------------------------------------------------------


class StoreUnreachable(RedkeepError):
    code = 50
    retry = True
    hint = "Check [store] endpoint_url and the network between this worker and the store."


class StoreDenied(RedkeepError):
    code = 51
    hint = "Check the credentials and the policy: the worker needs to list, read, write and delete under its prefix."


class BucketMissing(RedkeepError):
    code = 52
    hint = "Create the bucket, or correct [store] url and region; redkeep never creates one."


class StoreFull(RedkeepError):
    code = 53
    retry = True
    hint = "Make room where the store keeps its files; nothing incomplete was left there."


class ObjectMissing(RedkeepError):
    code = 54
    hint = "List what is there with `redkeep backups`."


class ObjectExists(RedkeepError):
    """A conditional write found that key taken."""

    code = 55
    hint = "A backup of that id is already committed; it was left as it is."


class StoreFailed(RedkeepError):
    code = 56
    retry = True
    hint = "Read the store's answer; it was tried again and stayed so."


class StoreUnusable(RedkeepError):
    """The address itself is wrong: scheme, folder, missing credentials."""

    code = 57
    hint = "Correct [store] url: s3://bucket/prefix or file:///folder."


# -- what came back from the store: 70..89 ---------------------------------------------------------------


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


# -- the run's own endings: 90..99 ------------------------------------------------------------------------


class SlotCommitted(Skip):
    code = 90
    hint = "The slot's backup is committed and was left as it is."


class Paused(Skip):
    code = 91
    hint = "Go on with `redkeep resume TARGET [TASK]`; runs started by hand are never paused."


class DemoFailed(RedkeepError):
    code = 92
    hint = "The demo cleaned up after itself; call it again, and report it if it fails again."


class Unexpected(RedkeepError):
    """Not one of ours: a defect in redkeep, or an outside answer that nobody foresaw."""

    code = 99
    hint = "Please report it with the worker's log from that minute."


# -- bringing a snapshot back: 100..119 -------------------------------------------------------------------


class SnapshotUnsigned(RedkeepError):
    """Nobody who is trusted here signed it, and nobody said that this is accepted."""

    code = 100
    hint = "Set trusted_signers; or say --allow-unsigned if you know where this store's content comes from."


class RdbTooNew(RedkeepError):
    code = 101
    hint = "Restore into a server as new as the one the snapshot came from."


class DirectoryInUse(RedkeepError):
    code = 102
    hint = "Stop that process first, or name another directory; nothing was changed."


class RestoreBusy(RedkeepError):
    code = 103
    hint = "Wait for the other restore to end; nothing was changed."


class LayoutUnknown(RedkeepError):
    """It is not known where the server will look for its data."""

    code = 104
    hint = "Say --like URL of a running server, or --appendonly yes|no as the server will be started."


class RestoreUnfit(RedkeepError):
    """The server is not one that may be restored into as it is."""

    code = 105
    hint = "Nothing was changed there."


class MemoryShort(RedkeepError):
    code = 106
    hint = "Make room there, or say --force if you know better; nothing was changed."


class RestoreUnreached(RedkeepError):
    """The server was told to fetch the snapshot from us, and nobody came."""

    code = 107
    hint = "It must reach this host: name an address with --listen, and with --announce what it calls that address."


class RestoreCut(RedkeepError):
    """The server stopped taking the snapshot in the middle."""

    code = 108
    hint = "Read the server's log, see with INFO keyspace what it holds, and start the restore again."


class RestoreMismatch(RedkeepError):
    """What the server holds after loading is not what the manifest counts."""

    code = 109
    hint = "See with INFO keyspace what it holds; restore again, or an older backup."


class RestoreUnpersisted(RedkeepError):
    """The snapshot is in the server's memory, and the server could not write it to its disk."""

    code = 110
    hint = "Do not restart that server: read its log, make room on its disk, then BGREWRITEAOF (AOF off: BGSAVE) there."


class SettingsLeft(RedkeepError):
    """The restore could not give the server its own settings back."""

    code = 111
    hint = "Run there the commands that were printed before the restore began; `redkeep check` names them too."


class DrillFailed(RedkeepError):
    """The newest snapshot, or the one that was named, did not come back as it should."""

    code = 112
    hint = "Do not count on that backup: take another one now, and read in the run's record what was wrong."


class DrillServerMissing(RedkeepError):
    code = 113
    hint = "Install a redis-server as new as the target's on the drill worker, or name it in [target.drill]."


class DrillServerFailed(RedkeepError):
    """The throwaway server did not start, or ended, with no snapshot to blame."""

    code = 114
    hint = "Read the end of its log in the message; [target.drill] redis_server must run on this host."


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

"""Bringing a snapshot back: 100..114."""

from __future__ import annotations

from tasks.errors.root import RedkeepError

__all__ = [
    "DirectoryInUse",
    "DrillFailed",
    "DrillServerFailed",
    "DrillServerMissing",
    "LayoutUnknown",
    "MemoryShort",
    "RdbTooNew",
    "RestoreBusy",
    "RestoreCut",
    "RestoreMismatch",
    "RestoreUnfit",
    "RestoreUnpersisted",
    "RestoreUnreached",
    "SettingsLeft",
    "SnapshotUnsigned",
]


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

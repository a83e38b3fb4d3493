"""The server under care: 30..49."""

from __future__ import annotations

from tasks.errors.root import Deferral, RedkeepError

__all__ = [
    "DataDirForeign",
    "DataDirUnreadable",
    "GuardDeferred",
    "GuardRefused",
    "ReplicaStale",
    "RewriteFailed",
    "RewriteUnproven",
    "SaveFailed",
    "ServerAuthFailed",
    "ServerDenied",
    "ServerIsReplica",
    "ServerLoading",
    "ServerRefused",
    "ServerSaving",
    "ServerUnreachable",
    "ServerUnsupported",
    "SnapshotCorrupt",
    "SnapshotTruncated",
    "SnapshotUnproven",
    "SyncRefused",
]


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


class GuardDeferred(Deferral):
    """A fork now would hurt the server or its machine; that may pass by itself."""

    code = 46
    hint = "It is tried again while its slot lasts; `redkeep check` shows what the guard sees."


class GuardRefused(RedkeepError):
    """A fork would hurt the server or its machine until a person has done something."""

    code = 47
    hint = "Do what the reasons ask for, or change [target.guard]; `redkeep check` shows what the guard sees."


class RewriteFailed(RedkeepError):
    code = 48
    retry = True
    hint = "Read the server's log: most often its disk is full or its memory too short for a fork."


class RewriteUnproven(RedkeepError):
    """The server says that its AOF was rewritten, and its files do not show it."""

    code = 49
    hint = "Set data_dir to where the worker sees the `dir` of this very server, and look there at the AOF."

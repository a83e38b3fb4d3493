"""`follow`: read the RDB of the server's own BGSAVE while it is being written. Nothing is ever copied.

The child writes ``temp-<pid>.rdb`` and renames it when it is done. Our open descriptor pins the inode, so the
rename does not matter to us; that the same inode then stands under `dbfilename` is the proof that what we read is
what the server committed. Counters prove nothing: LASTSAVE has whole seconds, `rdb_saves` counts attempts, and a
replica's save may follow at once and own INFO's figures.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tasks.errors import (
    DataDirForeign,
    DataDirUnreadable,
    SaveFailed,
    ServerRefused,
    ServerSaving,
    ServerUnreachable,
    SnapshotUnproven,
)
from tasks.server import POLL, Checkpoint, Server, parse_info, parse_keyspace
from tasks.stream.source.snapshot import CHUNK, Snapshot

__all__ = ["follow"]

_TEMP = re.compile(r"temp-\d+\.rdb")
LOOK = 0.004
"""Seconds between two looks at the folder or the file: a tenth of what the smallest fork takes, and a few dozen
system calls a second."""
ASK = 0.25
"""Seconds between two questions to the server while the file still grows."""


@contextmanager
def follow(
    server: Server, data_dir: Path, server_compression: str, patience: float, checkpoint: Checkpoint
) -> Iterator[Snapshot]:
    """Start a save and follow its file. Arguments and errors as :func:`tasks.stream.source.open_snapshot`."""
    config = server.config("dbfilename", "rdbcompression", "rdbchecksum")
    folder = _Folder(data_dir, config["dbfilename"])
    compression = config["rdbcompression"]
    uncompressed = server_compression == "off" and compression == "yes"
    if uncompressed:  # a right that is missing shows here, before anything was forked
        server.ask("CONFIG", "SET", "rdbcompression", compression)
    started, keyspace, stats = _begin_save(server, folder, uncompressed, patience, checkpoint)
    keys, expires = parse_keyspace(keyspace)
    snapshot = Snapshot(
        kind="follow",
        keys=keys,
        expires=expires,
        exact=True,
        checksum_off=config["rdbchecksum"] == "no",
        expected_bytes=int(server.info("memory")["used_memory"]),
        fork_usec=int(stats["latest_fork_usec"]),
    )
    with _found(server, folder, checkpoint) as file, closing(_proven(file, folder, server, checkpoint)) as chunks:
        if folder.is_dump(file):  # too quick to catch; nor is it ours for sure, if the server has forked again
            snapshot.exact = server.info("stats")["total_forks"] == stats["total_forks"]
        snapshot.chunks = _timed(chunks, snapshot, server, started)
        yield snapshot


def _begin_save(
    server: Server, folder: _Folder, uncompressed: bool, patience: float, checkpoint: Checkpoint
) -> tuple[float, bytes, dict[str, str]]:
    """Fork. Gives the moment (monotonic), INFO keyspace as it was at the fork, and INFO stats right after it.

    One write, no MULTI (inside which 7.0 and newer silently put BGSAVE off): the server runs the commands with
    nothing in between, so the counts are those of the fork, and its compression is back as it was even if we die
    right after sending. The child inherited the setting. Where the server has forked more than once since we looked
    at the folder, somebody else's save came and went in between, and what we remember of the folder is of no use.
    """
    save: list[tuple[str, ...]] = [("BGSAVE",)]
    if uncompressed:
        save = [("CONFIG", "SET", "rdbcompression", "no"), *save, ("CONFIG", "SET", "rdbcompression", "yes")]
    save = [("INFO", "keyspace"), *save, ("INFO", "stats")]
    end = time.monotonic() + patience
    while True:
        server.wait_until_quiet(max(end - time.monotonic(), 0), checkpoint)
        forks = int(server.info("stats")["total_forks"])
        folder.remember()
        started = time.monotonic()
        try:
            keyspace, *_, stats = server.answers(save)
            if int((after := parse_info(stats))["total_forks"]) == forks + 1:
                return started, keyspace, after
        except ServerRefused as error:
            if "in progress" not in error.detail and "child process" not in error.detail:
                raise
            if time.monotonic() >= end:
                raise ServerSaving(f"{server.shown} began another save", detail=error.detail) from None
            time.sleep(POLL)


# -- the folder ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Mark:
    """What tells one file from another of the same name."""

    device: int
    inode: int
    size: int
    changed: int

    @classmethod
    def of(cls, stat: os.stat_result) -> _Mark:
        return cls(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def same_file(self, other: _Mark | None) -> bool:
        return other is not None and (self.device, self.inode) == (other.device, other.inode)


class _Folder:
    """The server's data directory, and how it looked before our save."""

    def __init__(self, path: Path, dbfilename: str) -> None:
        self.path = path
        self.dump = path / dbfilename
        self._dump_before: _Mark | None = None
        self._temps_before: dict[str, _Mark] = {}

    def remember(self) -> None:
        self._dump_before = mark(self.dump)
        self._temps_before = self._temps()

    def new_temps(self) -> list[Path]:
        """Files that a save began since. A killed server's orphan may still be writing its own, and a second
        server may share the folder, so there can be several. A child whose pid is that of an orphan's leftover
        (usual in containers) truncates that file: then it is smaller than it was."""
        found = self._temps().items()
        before = self._temps_before
        return [
            self.path / name
            for name, now in found
            if not now.same_file(before.get(name)) or now.size < before[name].size
        ]

    def new_dump(self) -> bool:
        """Whether `dbfilename` is another file than before."""
        now = mark(self.dump)
        return now is not None and (not now.same_file(self._dump_before) or now != self._dump_before)

    def is_dump(self, file: BinaryIO) -> bool:
        """Whether the open file stands under `dbfilename`."""
        return _Mark.of(os.fstat(file.fileno())).same_file(mark(self.dump))

    def _temps(self) -> dict[str, _Mark]:
        found: dict[str, _Mark] = {}
        with _readable(self.path), os.scandir(self.path) as entries:
            for entry in entries:
                if _TEMP.fullmatch(entry.name) and (now := mark(self.path / entry.name)):
                    found[entry.name] = now
        return found


def mark(path: Path) -> _Mark | None:
    """What stands there now; None where nothing does."""
    with _readable(path), suppress(FileNotFoundError):
        return _Mark.of(path.stat())
    return None


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """
    Raises:
        DataDirUnreadable: in place of the operating system's refusal.
    """
    try:
        yield
    except OSError as error:
        detail = (error.strerror or "").lower()
        raise DataDirUnreadable(f"cannot read {path}", detail=detail) from None


@contextmanager
def _found(server: Server, folder: _Folder, checkpoint: Checkpoint) -> Iterator[BinaryIO]:
    """Open the file of the save that just began: its temp file, or where the save was too quick for that, the
    new dump. Where several temp files could be ours, the save is awaited and the dump read."""
    asked = time.monotonic()
    while True:
        checkpoint()
        temps = folder.new_temps()  # looked at before the dump: a temp file that is left then is not ours
        path = folder.dump if folder.new_dump() else temps[0] if len(temps) == 1 else None
        if path is not None and (file := _opened(path)) is not None:
            with file:
                yield file
            return
        if time.monotonic() - asked > ASK:
            asked = time.monotonic()
            _check_still_saving(server, folder)
        time.sleep(LOOK)


def _opened(path: Path) -> BinaryIO | None:
    with _readable(path), suppress(FileNotFoundError):  # renamed since we looked
        return path.open("rb", buffering=0)
    return None


def _check_still_saving(server: Server, folder: _Folder) -> None:
    state = server.info("persistence")
    saving = state["rdb_bgsave_in_progress"] != "0"
    if folder.new_dump() or (saving and (folder.new_temps() or int(state["rdb_current_bgsave_time_sec"]) < 2)):
        return
    if not saving and state["rdb_last_bgsave_status"] != "ok":
        raise SaveFailed(f"the save of {server.shown} failed")
    raise DataDirForeign(f"{server.shown} saves, but not in {folder.path}")


# -- the file --------------------------------------------------------------------------------------------


def _proven(file: BinaryIO, folder: _Folder, server: Server, checkpoint: Checkpoint) -> Generator[bytes]:
    """The file's bytes as they come, until the server has given it its final name."""
    asked = time.monotonic()
    position = 0
    while not (over := folder.is_dump(file)):
        checkpoint()
        grown = os.fstat(file.fileno()).st_size - position
        if grown >= CHUNK:
            chunk = file.read(CHUNK)
            position += len(chunk)
            yield chunk
            continue
        if time.monotonic() - asked > ASK:
            asked = time.monotonic()
            if server.info("persistence")["rdb_bgsave_in_progress"] == "0":
                over = folder.is_dump(file)
                break
        time.sleep(LOOK)
    if not over:
        status = server.info("persistence")["rdb_last_bgsave_status"]
        if status != "ok":
            raise SaveFailed(f"the save of {server.shown} failed")
        raise SnapshotUnproven(f"the file that was read is not the {folder.dump.name} that {server.shown} saved")
    while chunk := file.read(CHUNK):
        yield chunk


def _timed(chunks: Iterator[bytes], snapshot: Snapshot, server: Server, started: float) -> Iterator[bytes]:
    """The chunks, and after their end what the save cost."""
    yield from chunks
    snapshot.seconds = time.monotonic() - started
    with suppress(ServerUnreachable):  # the snapshot is whole; if that was the server's last, all the better
        cow = server.info("persistence").get("rdb_last_cow_size")
        snapshot.cow_bytes = int(cow) if cow else None

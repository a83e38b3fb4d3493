"""`follow`: read the RDB of the server's own BGSAVE while it is being written. Nothing is ever copied.

The child writes ``temp-<pid>.rdb`` and renames it when it is done. Our open descriptor pins the inode, so the
rename does not matter to us; that the same inode then stands under `dbfilename` is the proof that what we read is
what the server committed. Counters prove nothing: LASTSAVE has whole seconds, `rdb_saves` counts attempts, and a
replica's save may follow at once and own INFO's figures.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from threading import Event
from typing import BinaryIO

from tasks.errors import (
    DataDirForeign,
    SaveFailed,
    ServerRefused,
    ServerSaving,
    ServerUnreachable,
    SnapshotTruncated,
    SnapshotUnproven,
)
from tasks.server import POLL, Checkpoint, Server, parse_info, parse_keyspace
from tasks.stream.source.folder import Folder
from tasks.stream.source.snapshot import CHUNK, Snapshot

__all__ = ["follow"]

LOOK = 0.004
"""Seconds between two looks at the folder or the file: a tenth of what the smallest fork takes, and a few dozen
system calls a second."""
OPENS = 2
"""Whole seconds after which a child has opened its file, however the machine swaps."""
REAPS = 1.0
"""Seconds to wait for a figure that nothing depends on."""
ASK = 0.25
"""Seconds between two questions to the server while the file still grows."""


@contextmanager
def follow(
    server: Server, data_dir: Path, server_compression: str, patience: float, checkpoint: Checkpoint
) -> Iterator[Snapshot]:
    """Start a save and follow its file. Arguments and errors as :func:`tasks.stream.source.open_snapshot`."""
    config = server.config("dbfilename", "rdbcompression", "rdbchecksum")
    folder = Folder(data_dir, config["dbfilename"])
    compression = config["rdbcompression"]
    uncompressed = server_compression == "off" and compression == "yes"
    if uncompressed:  # a right that is missing shows here, before anything was forked
        server.ask("CONFIG", "SET", "rdbcompression", compression)
    started, keyspace, stats = _begin_save(server, folder, uncompressed, patience, checkpoint)
    keys, expires = folder.wanted = parse_keyspace(keyspace)
    given_up = Event()
    snapshot = Snapshot(
        kind="follow",
        keys=keys,
        expires=expires,
        exact=True,
        checksum_off=config["rdbchecksum"] == "no",
        expected_bytes=int(server.info("memory")["used_memory"]),
        fork_usec=int(stats["latest_fork_usec"]),
        abandon=given_up.set,
    )

    def still_wanted() -> None:
        checkpoint()
        if given_up.is_set():
            raise SnapshotTruncated(f"nobody wants the rest of the save of {server.shown}")

    with _found(server, folder, checkpoint) as file, closing(_proven(file, folder, server, still_wanted)) as chunks:
        if folder.is_dump(file):  # too quick to catch; nor is it ours for sure, if the server has forked again
            snapshot.exact = server.info("stats")["total_forks"] == stats["total_forks"]
        snapshot.chunks = _timed(chunks, snapshot, started)
        yield snapshot
    with suppress(ServerUnreachable):  # the snapshot is whole; if that was the server's last, all the better
        snapshot.cow_bytes = _cow_bytes(server, stats["total_forks"])


def _begin_save(
    server: Server, folder: Folder, uncompressed: bool, patience: float, checkpoint: Checkpoint
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


# -- the file --------------------------------------------------------------------------------------------


@contextmanager
def _found(server: Server, folder: Folder, checkpoint: Checkpoint) -> Iterator[BinaryIO]:
    """Open the file of the save that just began: its temp file, or where the save was too quick for that, the
    new dump. Where several files could be ours, the save is awaited and the dump read."""
    asked = time.monotonic()
    while True:
        checkpoint()
        if (file := folder.open_new()) is not None:
            with file:
                yield file
            return
        if time.monotonic() - asked > ASK:
            asked = time.monotonic()
            _check_still_saving(server, folder)
        time.sleep(LOOK)


def _check_still_saving(server: Server, folder: Folder) -> None:
    """
    Raises:
        SaveFailed: the save ended without a dump.
        DataDirForeign: it goes on, or ended well, and nothing of it is to be seen here.
    """
    state = server.info("persistence")
    saving = state["rdb_bgsave_in_progress"] != "0"
    if saving and (folder.is_hopeful() or int(state["rdb_current_bgsave_time_sec"]) < OPENS):
        return
    if (file := folder.open_new()) is not None:  # it ended since we looked
        file.close()
        return
    if not saving and state["rdb_last_bgsave_status"] != "ok":
        raise SaveFailed(f"the save of {server.shown} failed")
    raise DataDirForeign(f"{server.shown} saves, but not in {folder.path}")


def _proven(file: BinaryIO, folder: Folder, server: Server, checkpoint: Checkpoint) -> Generator[bytes]:
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


def _timed(chunks: Iterator[bytes], snapshot: Snapshot, started: float) -> Iterator[bytes]:
    """The chunks, and after their end how long they took."""
    yield from chunks
    snapshot.seconds = time.monotonic() - started


def _cow_bytes(server: Server, forks: str) -> int | None:
    """What the save cost in copied pages. The server learns it when it takes in its child, up to a tenth of a second
    (its `hz`) after the file was whole; None where that is long in coming, or where it has forked again meanwhile."""
    end = time.monotonic() + REAPS
    while time.monotonic() < end:
        stats, persistence = (parse_info(each) for each in server.answers([("INFO", "stats"), ("INFO", "persistence")]))
        if stats["total_forks"] != forks:
            return None
        if persistence["rdb_bgsave_in_progress"] == "0":
            return int(persistence.get("rdb_last_cow_size", 0)) or None
        time.sleep(POLL)
    return None

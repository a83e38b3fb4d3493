"""--to-dir: what a server of each flavour really loads, and a directory that is as it was whenever anything fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rig.keep import Keep
from rig.redis_servers import RedisServer
from rig.restores import Shelf, contents, every_type, started_in

from tasks.errors import (
    AgeCorrupt,
    BackupMismatch,
    DirectoryInUse,
    FileUnwritable,
    IdentityMismatch,
    ObjectMissing,
    RdbTooNew,
    RestoreBusy,
    SnapshotCorrupt,
)
from tasks.restore import Layout, check_loads, directory, layout_named, layout_of, reader_named, reader_of, to_dir
from tasks.server import Server
from tasks.stream import age

MakeKeep = Callable[..., Keep]
NEW = Layout(appendonly=True, multi_part=True)


@pytest.fixture
def shelf(any_redis: RedisServer, keep: MakeKeep) -> Shelf:
    any_redis.client().mset({f"key:{number}": "x" * 100 for number in range(500)})
    return Shelf.of(keep(any_redis), any_redis)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data directory with an old data set in it."""
    path = tmp_path / "data"
    (path / "appendonlydir").mkdir(parents=True)
    (path / "dump.rdb").write_bytes(b"old dump")
    (path / "appendonlydir" / "appendonly.aof.manifest").write_bytes(b"old manifest")
    return path


# -- what a server loads ---------------------------------------------------------------------------


@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_a_server_of_each_flavour_loads_what_was_placed(
    redis_flavour: str, appendonly: str, tmp_path: Path, keep: MakeKeep
) -> None:
    with RedisServer(redis_flavour, appendonly=appendonly) as origin, Server(origin.url) as asked:
        every_type(origin)
        shelf = Shelf.of(keep(origin, source="follow"), origin)
        layout = layout_of(asked)
        check_loads(shelf.manifest, reader_of(asked))
    placed = shelf.place(tmp_path / "fresh", layout)
    assert placed.aside is None
    with started_in(tmp_path / "fresh", redis_flavour, appendonly=appendonly) as server:
        assert server.digest() == shelf.digest
        server.client().set("later", 1)
        later = server.digest()
        if appendonly == "yes":
            server.client().config_set("appendfsync", "always")
            server.client().set("last", 1)
            later = server.digest()
            server.kill()
        else:
            server.client().save()
        server.restart()
        assert server.digest() == later


def test_names_of_its_own_are_followed(tmp_path: Path, keep: MakeKeep) -> None:
    own = {"appendonly": "yes", "appenddirname": "aof here", "appendfilename": "a.aof", "dbfilename": "b.rdb"}
    with RedisServer("redis7", **own | {"appenddirname": "elsewhere"}) as origin, Server(origin.url) as asked:
        origin.client().set("a", 1)
        shelf = Shelf.of(keep(origin), origin)
        layout = layout_of(asked)
    placed = shelf.place(tmp_path / "fresh", layout)
    assert placed.rdb == tmp_path / "fresh" / "elsewhere" / "a.aof.1.base.rdb"
    with started_in(tmp_path / "fresh", "redis7", **own | {"appenddirname": "elsewhere"}) as server:
        assert server.digest() == shelf.digest


@pytest.mark.parametrize(
    ("version", "appendonly", "place"),
    [
        ("6.2.14", True, "appendonly.aof"),
        ("7.0", True, "appendonlydir/appendonly.aof.1.base.rdb"),
        ("valkey-9.1", True, "appendonlydir/appendonly.aof.1.base.rdb"),
        ("8.2", False, "dump.rdb"),
    ],
)
def test_a_named_version_decides_the_place(version: str, appendonly: bool, place: str) -> None:
    assert str(layout_named(reader_named(version), appendonly=appendonly).rdb) == place


def test_a_snapshot_too_new_for_a_server_is_refused_by_vendor_and_rdb_version(keep: MakeKeep) -> None:
    with RedisServer("valkey9") as origin, RedisServer("redis8") as other, Server(other.url) as asked:
        shelf = Shelf.of(keep(origin), origin)
        told = r"valkey RDB version 80, and redis 8\.2\.3 .* reads redis RDB up to version 12"
        with pytest.raises(RdbTooNew, match=told):
            check_loads(shelf.manifest, reader_of(asked))
    with pytest.raises(RdbTooNew):
        check_loads(shelf.manifest, reader_named("8.2"))


# -- what was there --------------------------------------------------------------------------------


def test_what_was_there_is_moved_aside_whole(shelf: Shelf, folder: Path) -> None:
    before = contents(folder)
    first = shelf.place(folder, NEW)
    assert first.aside is not None
    assert contents(first.aside) == before
    written = {name: body for name, body in contents(folder).items() if not name.startswith(first.aside.name)}
    second = shelf.place(folder, NEW)
    assert second.aside is not None
    assert contents(second.aside) == written, "what was moved aside before stays where it is"
    assert contents(first.aside) == before
    assert {each.name for each in folder.iterdir()} == {"appendonlydir", first.aside.name, second.aside.name}


def test_only_the_owner_can_read_what_was_placed_and_the_owner_is_the_folders(shelf: Shelf, folder: Path) -> None:
    if os.geteuid() == 0:
        os.chown(folder, 65534, 65534)
    placed = shelf.place(folder, NEW)
    for each in (placed.rdb, placed.rdb.parent):
        assert each.stat().st_mode & 0o077 == 0
        assert each.stat().st_uid == folder.stat().st_uid


# -- faults ----------------------------------------------------------------------------------------


def wrong_identity(shelf: Shelf) -> None:
    shelf.keep.identities = [age.generate_identity()]


def truncated(shelf: Shelf) -> None:
    os.truncate(shelf.object_path, shelf.object_path.stat().st_size - 20)


def flipped(shelf: Shelf) -> None:
    body = bytearray(shelf.object_path.read_bytes())
    body[-40] ^= 1
    shelf.object_path.write_bytes(body)


def missing(shelf: Shelf) -> None:
    shelf.object_path.unlink()


def swapped(shelf: Shelf) -> None:
    attempt = shelf.keep.attempt()
    assert attempt.manifest is not None
    shelf.object_path.write_bytes(shelf.keep.sealed(attempt.manifest))


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (wrong_identity, IdentityMismatch),
        (truncated, AgeCorrupt),
        (flipped, AgeCorrupt),
        (missing, ObjectMissing),
        (swapped, BackupMismatch),
    ],
)
def test_a_bad_snapshot_leaves_the_folder_as_it_was(
    shelf: Shelf, folder: Path, spoil: Callable[[Shelf], None], error: type[Exception]
) -> None:
    before = contents(folder)
    spoil(shelf)
    with pytest.raises(error):
        shelf.place(folder, NEW)
    assert contents(folder) == before
    assert {each.name for each in folder.iterdir()} == {"appendonlydir", "dump.rdb"}


def test_a_folder_that_was_made_for_a_bad_snapshot_is_gone_again(shelf: Shelf, tmp_path: Path) -> None:
    flipped(shelf)
    with pytest.raises(AgeCorrupt):
        shelf.place(tmp_path / "fresh", NEW)
    assert not (tmp_path / "fresh").exists()


def test_a_snapshot_in_the_clear_is_held_to_its_checksums_too(
    any_redis: RedisServer, keep: MakeKeep, folder: Path
) -> None:
    any_redis.client().set("a", "b" * 1000)
    shelf = Shelf.of(keep(any_redis, recipients=0, compression="none"))
    body = shelf.object_path.read_bytes()
    shelf.object_path.write_bytes(body.replace(b"bbbb", b"bbcb", 1))
    with pytest.raises(SnapshotCorrupt):
        shelf.place(folder, NEW)


def test_a_full_disk_leaves_the_folder_as_it_was(shelf: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40k", "tmpfs", folder]
    mounted = subprocess.run(mount, check=False, capture_output=True)
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")
    try:
        (folder / "dump.rdb").write_bytes(b"old")
        with pytest.raises(FileUnwritable, match="no room for the snapshot"):
            shelf.place(folder, NEW)
        with pytest.raises(FileUnwritable, match="no space left"):
            to_dir(iter([b"x" * 100_000]), folder, NEW, expected=-(2**30))
        assert contents(folder) == {"dump.rdb": b"old"}
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_step_that_fails_while_promoting_puts_back_what_was_moved(
    shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(folder)
    real = directory.sync_folder

    def full(path: Path) -> None:
        if path == folder:  # the very last step
            raise OSError(28, "No space left on device")
        real(path)

    monkeypatch.setattr(directory, "sync_folder", full)
    with pytest.raises(FileUnwritable, match="no space left"):
        shelf.place(folder, NEW)
    assert contents(folder) == before


def interrupted_at(chunks: Iterator[bytes]) -> Iterator[bytes]:
    yield next(chunks)
    raise KeyboardInterrupt


def test_ctrl_c_while_it_is_written_leaves_the_folder_as_it_was(shelf: Shelf, folder: Path) -> None:
    before = contents(folder)
    with pytest.raises(KeyboardInterrupt):
        to_dir(interrupted_at(shelf.chunks()), folder, NEW, expected=1)
    assert contents(folder) == before


def test_ctrl_c_while_it_is_promoted_comes_after_the_last_step(
    shelf: Shelf, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = directory._move

    def pressed(*args: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(directory, "_move", pressed)
    with pytest.raises(KeyboardInterrupt):
        shelf.place(folder, NEW)
    assert "appendonlydir/appendonly.aof.1.base.rdb" in contents(folder)


def test_what_a_killed_restore_left_is_cleared_by_the_next(shelf: Shelf, folder: Path) -> None:
    left = folder / ".redkeep-restore-0badcafe"
    left.mkdir()
    (left / "dump.rdb").write_bytes(b"half")
    shelf.place(folder, NEW)
    assert not left.exists()


# -- somebody else there ---------------------------------------------------------------------------


def test_a_folder_that_a_server_uses_is_refused_by_name(shelf: Shelf, any_redis: RedisServer) -> None:
    before = contents(any_redis.dir)
    with pytest.raises(DirectoryInUse, match=rf"in use by (redis|valkey)-server \(process {any_redis.process.pid}\)"):
        shelf.place(any_redis.dir, NEW)
    assert contents(any_redis.dir) == before


def test_a_folder_with_an_open_file_is_refused(shelf: Shelf, folder: Path) -> None:
    script = "import sys; file = open(sys.argv[1]); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", script, str(folder / "dump.rdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as reader:
        reader.stdout.readline()
        with pytest.raises(DirectoryInUse, match=str(reader.pid)):
            shelf.place(folder, NEW)
        reader.stdin.close()
    shelf.place(folder, NEW)


def test_a_second_restore_at_once_is_refused(shelf: Shelf, folder: Path) -> None:
    def chunks() -> Iterator[bytes]:
        with pytest.raises(RestoreBusy):
            shelf.place(folder, NEW)
        yield from shelf.chunks()

    to_dir(chunks(), folder, NEW, expected=shelf.manifest.plaintext.bytes)
    assert "appendonlydir/appendonly.aof.1.base.rdb" in contents(folder)

"""What may go wrong in a folder: disks that are full or read-only, links, file systems without some calls."""

from __future__ import annotations

import os
import resource
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rig.nobody import as_nobody

from tasks.errors import RedkeepError, StoreDenied, StoreFull, StoreUnusable
from tasks.store import PendingUpload
from tasks.store.directory import DirectoryStore

MIB = 1024 * 1024
KEY = "main/snapshots/a.rdb.zst.age"


def partials(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.name.endswith(".partial")]


def megabytes(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield bytes(MIB)


@pytest.fixture
def store(tmp_path: Path) -> DirectoryStore:
    return DirectoryStore(str(tmp_path))


def test_a_full_disk_is_full_and_empty_again_afterwards(small_disk: Path) -> None:
    store = DirectoryStore(str(small_disk))
    store.put("main/small", megabytes(1))
    for _ in range(3):
        with pytest.raises(StoreFull):
            store.put(KEY, megabytes(20))
        assert partials(small_disk) == []
    with pytest.raises(StoreFull):
        store.put_once(KEY, bytes(8 * MIB))
    assert [found.key for found in store.list("")] == ["main/small"]
    store.put(KEY, megabytes(6))


def test_a_read_only_disk_denies_writing_and_is_still_read(small_disk: Path) -> None:
    store = DirectoryStore(str(small_disk))
    store.put(KEY, megabytes(1))
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for key in (KEY, "new/folder/key"):
        with pytest.raises(StoreDenied):
            store.put(key, megabytes(1))
    with pytest.raises(StoreDenied):
        store.put_once("main/once", b"x")
    with pytest.raises(StoreDenied):
        store.delete(KEY)
    assert b"".join(store.get(KEY)) == bytes(MIB)


LIMITED = """
import resource, signal, sys
from tasks.errors import StoreFull
from tasks.store import open_store
resource.setrlimit(resource.RLIMIT_FSIZE, (1024 * 1024, 1024 * 1024))
try:
    open_store(sys.argv[1]).put("main/a", iter([bytes(700_000)] * 3))
except StoreFull as error:
    print(error)
"""


def test_a_limit_on_the_size_of_files_is_a_full_disk_too(tmp_path: Path) -> None:
    """For machines where nothing can be mounted: the kernel refuses the write all the same."""
    arguments = [sys.executable, "-c", LIMITED, tmp_path.as_uri()]
    ended = subprocess.run(arguments, capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True)
    assert ended.stdout == "the folder did not take main/a (file too large)\n"
    assert partials(tmp_path) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != MIB


def test_a_folder_that_we_may_not_enter_is_denied() -> None:
    """Root may enter every folder, so where we are root another user tries."""
    with as_nobody() if os.geteuid() == 0 else nullcontext(), tempfile.TemporaryDirectory(dir="/tmp") as root:
        store = DirectoryStore(root)
        store.put(KEY, megabytes(1))
        (Path(root) / "main").chmod(0)
        for call in (lambda: store.read(KEY), lambda: list(store.list("")), lambda: store.put(KEY, megabytes(1))):
            with pytest.raises(StoreDenied):
                call()
        (Path(root) / "main").chmod(0o700)


def test_only_the_owner_may_read_what_is_written(store: DirectoryStore, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        store.put(KEY, megabytes(1))
        store.put_once("main/manifests/a.json", b"{}")
    finally:
        os.umask(before)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_file()}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*") if path.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})


@pytest.mark.parametrize("link", ["main", "main/snapshots", KEY])
def test_a_symbolic_link_is_refused_wherever_it_leads(store: DirectoryStore, tmp_path: Path, link: str) -> None:
    elsewhere = tmp_path.parent / f"{tmp_path.name}-elsewhere"
    elsewhere.mkdir()
    target = elsewhere / "file" if link == KEY else elsewhere
    if link == KEY:
        target.write_bytes(b"theirs")
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(target)
    calls = (
        lambda: store.put(KEY, megabytes(1)),
        lambda: store.put_once(KEY, b"x"),
        lambda: store.read(KEY),
        lambda: store.head(KEY),
        lambda: store.delete(KEY),
    )
    for call in calls:
        with pytest.raises(StoreDenied, match="symbolic link"):
            call()
    assert list(store.list("")) == []
    assert [path.read_bytes() for path in elsewhere.iterdir()] == ([b"theirs"] if link == KEY else [])


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "backups").symlink_to(tmp_path / "disk")
    store = DirectoryStore(str(tmp_path / "backups"))
    store.put(KEY, megabytes(1))
    assert [found.key for found in store.list("")] == [KEY]


def test_a_file_where_a_folder_should_be_is_a_matter_of_settings(store: DirectoryStore, tmp_path: Path) -> None:
    (tmp_path / "main").write_text("not a folder")
    with pytest.raises(StoreUnusable):
        store.put(KEY, megabytes(1))
    assert store.head(KEY) is None
    with pytest.raises(StoreUnusable, match="no folder"):
        DirectoryStore(str(tmp_path / "main")).head(KEY)


def test_what_others_keep_in_the_folder_is_not_listed(store: DirectoryStore, tmp_path: Path) -> None:
    store.put(KEY, megabytes(1))
    for name in ("lost+found/a", ".snapshot/b", "main/.hidden", "main/.a.1.00ff.partial"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    os.mkfifo(tmp_path / "main" / "fifo")
    (tmp_path / os.fsdecode(b"main/\xff")).write_bytes(b"x")
    assert [found.key for found in store.list("")] == [KEY]
    assert list(store.uploads("")) == []


def test_only_an_upload_of_that_key_can_be_aborted(store: DirectoryStore, tmp_path: Path) -> None:
    store.put(KEY, megabytes(1))
    for name in (Path(KEY).name, "../../passwd", ".other.1.00ff00ff00ff00ff.partial", ""):
        with pytest.raises(ValueError, match="not an upload"):
            store.abort(PendingUpload(KEY, name, datetime.now(UTC)))
    assert store.head(KEY) is not None


def test_a_put_that_fails_at_the_very_end_leaves_nothing(store: DirectoryStore, tmp_path: Path) -> None:
    (tmp_path / KEY).mkdir(parents=True)
    with pytest.raises(RedkeepError):
        store.put(KEY, megabytes(1))
    assert partials(tmp_path) == []

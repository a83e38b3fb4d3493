"""Into a data directory that a server will really load. Stage, sync, verify, promote; in that order.

Everything happens inside the directory, so that it may be a mount point, and its owner need not own what is above.
The snapshot is staged in a hidden folder beside what is there. What is there is moved into one folder of its own,
whole. Promoting is then a single rename: whatever cuts it, the directory holds the old data set, the new one, or
nothing with both beside; never half of one.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tasks.errors import BackupMismatch, FileUnwritable, RestoreBusy
from tasks.names import stamp
from tasks.restore.file import check_room, flushed, private, sync_folder, to_stream
from tasks.restore.interrupt import uninterrupted
from tasks.restore.layout import Layout
from tasks.restore.occupied import check_free

__all__ = ["Placed", "to_dir"]

STAGING = ".redkeep-restore-"
ASIDE = "before-restore-"


@dataclass(frozen=True)
class Placed:
    """A data directory that is ready to be started on.

    Attributes:
        aside: where everything that was there is now; None where there was nothing.
        owner: uid and gid of all that was written.
    """

    rdb: Path
    aside: Path | None
    bytes: int
    owner: tuple[int, int]


def to_dir(chunks: Iterator[bytes], folder: Path, layout: Layout, *, expected: int) -> Placed:
    """Write the snapshot where a server of that layout looks for it.

    Args:
        folder: the server's `dir`; made where its parent is there.
        expected: bytes that the chunks will have.

    Raises:
        DirectoryInUse: a process uses it.
        RestoreBusy: another restore is at work there.
        FileUnwritable: the folder cannot be made, is full, or may not be written.
        BackupMismatch: not so many bytes came.
        RedkeepError: whatever the chunks raise. The directory is then as it was.
    """
    with _made(folder), _locked(folder):
        check_free(folder)
        check_room(folder, expected)
        with _staging(folder) as staged:
            size = _stage(chunks, staged, layout)
            if size != expected:
                raise BackupMismatch(f"the snapshot has {size} bytes, not {expected}")
            owner = _given_to_owner(staged, folder)
            check_free(folder)
            with _as_ours(folder), uninterrupted():
                aside = _promote(staged, folder)
    return Placed(folder / layout.rdb, aside, size, owner)


# -- the place ---------------------------------------------------------------------------------------------


@contextmanager
def _made(folder: Path) -> Iterator[None]:
    """There, and gone again if it was made here and the block failed."""
    with _as_ours(folder):
        made = not folder.exists()
        if made:
            folder.mkdir(mode=0o750)
        elif not folder.is_dir():
            raise NotADirectoryError(0, "not a folder")
    try:
        yield
    except BaseException:
        if made:
            with suppress(OSError):
                folder.rmdir()
        raise


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """At most one restore works there; the kernel ends the lock with its process."""
    with _as_ours(folder):
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RestoreBusy(f"another restore is at work in {folder}") from None
        for left in folder.glob(f"{STAGING}*"):  # by one that was killed
            shutil.rmtree(left, ignore_errors=True)
        yield
    finally:
        os.close(opened)


@contextmanager
def _staging(folder: Path) -> Iterator[Path]:
    staged = folder / f"{STAGING}{secrets.token_hex(4)}"
    with _as_ours(folder):
        staged.mkdir(mode=0o700)
    try:
        yield staged
    finally:
        shutil.rmtree(staged, ignore_errors=True)


@contextmanager
def _as_ours(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FileUnwritable(f"cannot write in {folder}", detail=(error.strerror or "").lower()) from None


# -- stage, sync --------------------------------------------------------------------------------------------


def _stage(chunks: Iterator[bytes], staged: Path, layout: Layout) -> int:
    """All files of the layout, on the disk itself. Returns the RDB's bytes."""
    with _as_ours(staged):
        for part in {(staged / place).parent for place in (layout.rdb, *layout.texts)} - {staged}:
            part.mkdir(mode=0o700)
    with private(staged / layout.rdb) as file:
        size = to_stream(chunks, file)
        flushed(file)
    for place, text in layout.texts.items():
        with private(staged / place) as file:
            file.write(text.encode())
            flushed(file)
    with _as_ours(staged):
        for root, _, _ in os.walk(staged):
            sync_folder(Path(root))
    return size


def _given_to_owner(staged: Path, folder: Path) -> tuple[int, int]:
    """What root writes belongs to whom the directory belongs to, else the server could not read it."""
    owner = folder.stat()
    if os.geteuid() != 0:
        return os.geteuid(), os.getegid()
    for root, folders, files in os.walk(staged):
        for name in (*folders, *files):
            os.chown(Path(root, name), owner.st_uid, owner.st_gid)
    return owner.st_uid, owner.st_gid


# -- promote ------------------------------------------------------------------------------------------------


def _promote(staged: Path, folder: Path) -> Path | None:
    """Swap what is there for what is staged, or leave all as it is. Raises OSError."""
    there = [each for each in folder.iterdir() if not each.name.startswith((STAGING, ASIDE))]
    undo: list[Callable[[], object]] = []
    aside: Path | None = None
    try:
        if there:
            aside = _new_aside(folder)
            undo.append(aside.rmdir)
            for each in there:
                _move(each, aside / each.name, undo)
            sync_folder(aside)
        for each in sorted(staged.iterdir()):  # one entry, whatever the layout
            _move(each, folder / each.name, undo)
        sync_folder(folder)
    except BaseException:
        for step in reversed(undo):
            step()
        raise
    return aside


def _new_aside(folder: Path) -> Path:
    """Two restores in one second have each a place of their own."""
    path = folder / f"{ASIDE}{stamp(datetime.now(UTC))}"
    if path.exists():
        path = path.with_name(f"{path.name}-{secrets.token_hex(2)}")
    path.mkdir(mode=0o700)
    facts = folder.stat()
    if os.geteuid() == 0:
        os.chown(path, facts.st_uid, facts.st_gid)
    return path


def _move(source: Path, target: Path, undo: list[Callable[[], object]]) -> None:
    source.rename(target)
    undo.append(lambda: target.rename(source))

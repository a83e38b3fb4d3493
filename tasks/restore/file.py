"""Into a file that is there whole or not at all, into a pipe, or into a private spool."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tasks.errors import FileExists, FileUnwritable
from tasks.stream.shape import owned

__all__ = ["check_room", "flushed", "private", "spooled", "sync_folder", "to_file", "to_stream"]

ROOM = 16 * 2**20
"""Bytes that stay free beside what is written."""


def to_file(chunks: Iterator[bytes], path: Path, *, force: bool = False) -> int:
    """Write the RDB to a file that is there whole or not at all. Returns its bytes.

    Raises:
        FileExists: there is a file of that name, and `force` is off.
        FileUnwritable: the folder is missing, full, or may not be written.
    """
    if os.path.lexists(path) and not force:  # Path.exists() raises where it may not look
        raise FileExists(f"{path} exists")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with private(temporary) as file:
            size = to_stream(chunks, file)
            flushed(file)
        _promote(temporary, path, force=force)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return size


@contextmanager
def spooled(chunks: Iterator[bytes], expected: int) -> Iterator[BinaryIO]:
    """Everything the chunks yield, in a file of TMPDIR that has no name and only we can read; at its beginning.

    Entered only if the chunks ended normally. Gone at the end, however that comes.

    Raises:
        FileUnwritable: there is no room for `expected` bytes, or less than was promised.
    """
    folder = Path(tempfile.gettempdir())
    hint = "Set TMPDIR to a folder that has room: the plain RDB waits there, in a file without a name."
    check_room(folder, expected, hint=hint)
    with _writing():
        opened = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by the block below
    with opened as file:
        to_stream(chunks, file)
        file.seek(0)
        yield file


def to_stream(chunks: Iterator[bytes], file: BinaryIO) -> int:
    """Write the chunks as they come. Returns their bytes.

    Raises:
        FileUnwritable: no room, or nobody reads any more.
    """
    size = 0
    with owned(chunks):
        for chunk in chunks:
            with _writing():
                file.write(chunk)
            size += len(chunk)
    with _writing():
        file.flush()
    return size


def check_room(folder: Path, expected: int, *, hint: str | None = None) -> None:
    """
    Raises:
        FileUnwritable: the folder's file system has no room for so many bytes, or there is no such folder.
    """
    try:
        facts = os.statvfs(folder)
    except OSError as error:
        raise FileUnwritable(f"cannot write in {folder}", detail=(error.strerror or "").lower()) from None
    free = facts.f_bavail * facts.f_frsize
    if free < expected + ROOM:
        missing = (expected + ROOM - free) // 2**20 + 1
        raise FileUnwritable(f"no room for the snapshot in {folder}", detail=f"{missing} MiB are missing", hint=hint)


def private(path: Path) -> BinaryIO:
    """A new file that only we can read. Raises FileUnwritable."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as error:
        raise FileUnwritable(f"cannot write in {path.parent}", detail=(error.strerror or "").lower()) from None


def flushed(file: BinaryIO) -> None:
    """Have the disk itself hold what was written. Raises FileUnwritable."""
    with _writing():
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Have the disk itself hold the folder's names. Raises OSError."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        hint = "Do not use what it has read: it is not whole."
        raise FileUnwritable("whoever reads the output has stopped", hint=hint) from None
    except OSError as error:
        raise FileUnwritable("cannot write", detail=(error.strerror or "").lower()) from None


def _promote(temporary: Path, path: Path, *, force: bool) -> None:
    try:
        if force:
            temporary.replace(path)
        else:
            path.hardlink_to(temporary)  # unlike a rename, this never replaces what came meanwhile
            temporary.unlink()
        sync_folder(path.parent)
    except FileExistsError:
        raise FileExists(f"{path} exists") from None
    except OSError as error:
        raise FileUnwritable(f"cannot write {path}", detail=(error.strerror or "").lower()) from None

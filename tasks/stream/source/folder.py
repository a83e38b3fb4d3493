"""The server's data directory, and which file in it our own save writes.

Several may look like it: the leftover of a server that was killed, its orphaned child that writes on (and may even
give its file the dump's name in the middle of our save), a second server in the same folder, another server's folder
altogether. So a file counts as ours only if it was begun after we looked, and if what it announces of itself is what
the server said at the fork.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from tasks.errors import DataDirUnreadable
from tasks.stream.source.head import HEAD, fits

__all__ = ["Folder"]

_TEMP = re.compile(r"temp-\d+\.rdb")
FileId = tuple[int, int]
"""Device and inode: what a file keeps when it is renamed."""
BEGINNING = 256
"""Bytes that tell one RDB from another in the same file: version, second of its fork, memory in use."""


class Folder:
    """How the data directory looked before our save, and looks now.

    Attributes:
        wanted: keys and expires per database at the fork, once known.
    """

    def __init__(self, path: Path, dbfilename: str) -> None:
        self.path = path
        self.dump = path / dbfilename
        self.wanted: tuple[dict[str, int], dict[str, int]] = ({}, {})
        self._before: dict[FileId, bytes] = {}

    def remember(self) -> None:
        """Call it before the fork: what stands here now is not ours."""
        self._before = {}
        for path in (*self._temps(), self.dump):
            if (file := _opened(path)) is not None:
                with file:
                    self._before[_id(file)] = _head(file, BEGINNING)

    def open_new(self) -> BinaryIO | None:
        """The one file that can only be ours, open at its beginning; None while there is none, or several are."""
        files = [file for path in self._candidates() if (file := _opened(path)) is not None]
        fitting = [file for file in files if self._fits(file)]
        chosen = fitting[0] if len(fitting) == 1 else None
        for file in files:
            if file is not chosen:
                file.close()
        return chosen

    def is_hopeful(self) -> bool:
        """Whether any file here may yet turn out to be ours."""
        for path in self._candidates():
            if (file := _opened(path)) is not None:
                with file:
                    if self._fits(file) is not False:
                        return True
        return False

    def is_dump(self, file: BinaryIO) -> bool:
        """Whether the open file stands under `dbfilename`."""
        with _readable(self.dump), suppress(FileNotFoundError):
            now = self.dump.stat()
            return (now.st_dev, now.st_ino) == _id(file)
        return False

    def _fits(self, file: BinaryIO) -> bool | None:
        return fits(_head(file, HEAD), *self.wanted)

    def _candidates(self) -> list[Path]:
        """The temp files; the new dump alone where there is one, for then our own save has ended. Temp files are
        looked for first, so that ours is seen under one of its two names."""
        temps = [path for path in self._temps() if self._is_new(path)]
        return [self.dump] if self._is_new(self.dump) else temps

    def _is_new(self, path: Path) -> bool:
        """Whether it was begun since. A child whose pid is that of a leftover (usual in containers) begins the same
        file afresh, and so does not begin it in the same way."""
        file = _opened(path)
        if file is None:
            return False
        with file:
            before = self._before.get(_id(file))
            return before is None or _head(file, BEGINNING)[: len(before)] != before

    def _temps(self) -> list[Path]:
        with _readable(self.path), os.scandir(self.path) as entries:
            return [self.path / entry.name for entry in entries if _TEMP.fullmatch(entry.name)]


def _opened(path: Path) -> BinaryIO | None:
    """The file, or None where nothing stands there (any more)."""
    with _readable(path), suppress(FileNotFoundError):
        return path.open("rb", buffering=0)
    return None


def _id(file: BinaryIO) -> FileId:
    found = os.fstat(file.fileno())
    return found.st_dev, found.st_ino


def _head(file: BinaryIO, size: int) -> bytes:
    return os.pread(file.fileno(), size, 0)


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

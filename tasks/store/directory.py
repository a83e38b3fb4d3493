"""A folder. Objects are files under it; nothing has a file's name before all of it is on the disk.

An unfinished file stands beside where it will be, as ``.<name>.<pid>.<random>.partial``. Symbolic links below
the folder are refused, not followed: they lead out of what the operator pointed at. The folder itself is never made,
because a backup into the empty mount point of an unmounted disk would fill another one.

An ETag here is the file's time of writing and size: enough to see that it was written anew, and it costs no
reading. What the bytes are, the manifest's sha256 says.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from tasks.errors import ObjectMissing, StoreDenied, StoreUnusable
from tasks.store.contract import (
    CHUNK,
    SMALL,
    ObjectInfo,
    PendingUpload,
    Stored,
    Traits,
    already,
    check_key,
    check_prefix,
    read_whole,
    valid_key,
)
from tasks.store.disk import answers, files, key_of_partial, link, make_folders, partial, sync_folder, write

__all__ = ["DirectoryStore"]


class DirectoryStore:
    """See :class:`tasks.store.contract.Store`. ``folder`` is absolute, and looked for when it is used."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)
        self.url = self._folder.as_uri()

    def put(self, key: str, chunks: Iterator[bytes], *, size_hint: int = 0) -> Stored:
        path = self._room_for(key)
        with partial(path, key) as (descriptor, unfinished):
            length = write(descriptor, chunks, key)
            with answers(key, missing=StoreUnusable):
                unfinished.replace(path)
        return _named(key, path, length)

    def put_once(self, key: str, body: bytes) -> Stored:
        path = self._room_for(key)
        while not (found := already(self, key, body)):
            with partial(path, key) as (descriptor, unfinished):
                length = write(descriptor, [body], key)
                with answers(key, missing=StoreUnusable):
                    free = link(unfinished, path)
                    unfinished.unlink()
            if free:
                return _named(key, path, length)
        return found

    def exclusive(self, key: str) -> bool:
        check_key(key)
        return True  # link(2) fails where there is a name already

    def traits(self, key: str) -> Traits:
        check_key(key)
        return Traits(versioned=False, locked=False, compares=False)

    def get(self, key: str) -> Iterator[bytes]:
        return _chunks(self._place(key), key)

    def read(self, key: str, limit: int = SMALL) -> bytes:
        return read_whole(key, self.get(key), limit)

    def head(self, key: str) -> ObjectInfo | None:
        path = self._place(key)
        with suppress(ObjectMissing), answers(key):
            return _info(key, path.lstat())
        return None

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for key, entry in self._files(prefix):
            if key.startswith(prefix) and valid_key(key):
                with suppress(FileNotFoundError):  # removed meanwhile
                    if found := _info(key, entry.stat(follow_symlinks=False)):
                        yield found

    def delete(self, key: str) -> None:
        path = self._place(key)
        with suppress(ObjectMissing), answers(key):
            path.unlink()

    def uploads(self, prefix: str) -> Iterator[PendingUpload]:
        for path, entry in self._files(prefix):
            key = key_of_partial(path)
            if key is not None and key.startswith(prefix):
                with suppress(FileNotFoundError):  # ended meanwhile
                    yield PendingUpload(key, entry.name, _moment(entry.stat(follow_symlinks=False)))

    def abort(self, upload: PendingUpload) -> None:
        path = self._place(upload.key)
        if key_of_partial(upload.upload_id) != path.name:
            raise ValueError(f"not an upload of {upload.key}: {upload.upload_id!r}")
        with suppress(ObjectMissing), answers(upload.key):
            path.with_name(upload.upload_id).unlink()

    # -- places ----------------------------------------------------------------------------------------

    def _root(self) -> Path:
        with answers("it"):
            if self._folder.is_dir():
                return self._folder.resolve()
        raise StoreUnusable(
            f"no folder {self._folder}", hint="Make the folder, or mount its disk; redkeep makes only what is below it."
        )

    def _place(self, key: str) -> Path:
        """Where the object is or would be. Raises StoreDenied when the way there is not a plain one."""
        path = self._root() / check_key(key)
        if os.path.realpath(path) != str(path):
            raise StoreDenied(
                f"{key} leads through a symbolic link", hint="Make the link's target the store itself: file:///folder."
            )
        return path

    def _room_for(self, key: str) -> Path:
        """The same, with the folders that lead to it."""
        path = self._place(key)
        with answers(key, missing=StoreUnusable):
            make_folders(self._root(), path.parent)
        return path

    def _files(self, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
        root = self._root()
        folder, slash, _ = check_prefix(prefix).rpartition("/")
        start = self._place(folder) if folder else root
        if start.is_dir():
            yield from files(start, folder + slash, prefix)


def _chunks(path: Path, key: str) -> Iterator[bytes]:
    with answers(key):
        file = path.open("rb", buffering=0)
    with file:
        while True:
            with answers(key):
                chunk = file.read(CHUNK)
            if not chunk:
                return
            yield chunk


def _named(key: str, path: Path, length: int) -> Stored:
    """Make the name last, and say what stands under it."""
    with answers(key):
        sync_folder(path.parent)
        return Stored(key, length, _etag(path.lstat()), 1)


def _info(key: str, found: os.stat_result) -> ObjectInfo | None:
    if not stat.S_ISREG(found.st_mode):
        return None
    return ObjectInfo(key, found.st_size, _moment(found), _etag(found))


def _moment(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(found.st_mtime, UTC)


def _etag(found: os.stat_result) -> str:
    return f"{found.st_mtime_ns:x}-{found.st_size:x}"

"""Files that are whole before they have a name, and what the operating system says, as our errors."""

from __future__ import annotations

import errno
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.errors import (
    ObjectMissing,
    RedkeepError,
    StoreDenied,
    StoreFailed,
    StoreFull,
    StoreUnreachable,
    StoreUnusable,
)

__all__ = ["answers", "files", "key_of_partial", "link", "make_folders", "partial", "sync_folder", "write"]

SETTLE = 32 * 1024 * 1024
"""Bytes after which what was written goes to the disk and out of the page cache: the cache is the Redis's, a full
disk shows early, and the last fsync is short."""

_PARTIAL = re.compile(r"\.(.+)\.\d+\.[0-9a-f]{16}\.partial")

_BY_ERRNO: dict[int, type[RedkeepError]] = {
    errno.ENOSPC: StoreFull,
    errno.EDQUOT: StoreFull,
    errno.EFBIG: StoreFull,
    errno.EACCES: StoreDenied,
    errno.EPERM: StoreDenied,
    errno.EROFS: StoreDenied,
    errno.ELOOP: StoreDenied,
    errno.ENOENT: ObjectMissing,
    errno.EISDIR: ObjectMissing,
    errno.ENOTDIR: ObjectMissing,
    errno.EEXIST: StoreUnusable,
    errno.ENAMETOOLONG: StoreUnusable,
    errno.ESTALE: StoreUnreachable,
    errno.ETIMEDOUT: StoreUnreachable,
    errno.EHOSTDOWN: StoreUnreachable,
}


@contextmanager
def answers(key: str, *, missing: type[RedkeepError] = ObjectMissing) -> Iterator[None]:
    """Raise what the operating system raises inside as our errors. Never around reading a caller's stream."""
    try:
        yield
    except OSError as error:
        kind = _BY_ERRNO.get(error.errno or 0, StoreFailed)
        kind = missing if kind is ObjectMissing else kind
        words = f"nothing is there under {key}" if kind is ObjectMissing else f"the folder did not take {key}"
        raise kind(words, detail=(error.strerror or type(error).__name__).lower()) from error


@contextmanager
def partial(path: Path, key: str) -> Iterator[tuple[int, Path]]:
    """A new file beside ``path`` as an open descriptor and a path; the body gives it its name.

    Whatever ends the body otherwise, the file is removed; failing at that becomes a note of the first error.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(8)}.partial")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with answers(key, missing=StoreUnusable):
        descriptor = os.open(unfinished, flags, 0o600)
    try:
        yield descriptor, unfinished
    except BaseException as error:
        try:
            unfinished.unlink(missing_ok=True)
        except OSError as second:
            error.add_note(f"removing {unfinished.name} failed as well: {second.strerror}")
        raise
    finally:
        os.close(descriptor)


def key_of_partial(path: str) -> str | None:
    """The key that an unfinished file was to have; None for any other file.

    >>> key_of_partial("main/snapshots/.a.rdb.zst.41.00ff00ff00ff00ff.partial")
    'main/snapshots/a.rdb.zst'
    """
    folder, slash, name = path.rpartition("/")
    found = _PARTIAL.fullmatch(name)
    return f"{folder}{slash}{found[1]}" if found else None


def write(descriptor: int, chunks: Iterable[bytes], key: str) -> int:
    """Write and sync everything ``chunks`` yields; returns how many bytes that was."""
    written = settled = 0
    for chunk in chunks:
        with answers(key):
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            written += len(chunk)
            if written - settled >= SETTLE:
                os.fdatasync(descriptor)
                os.posix_fadvise(descriptor, 0, written, os.POSIX_FADV_DONTNEED)
                settled = written
    with answers(key):
        os.fsync(descriptor)
    return written


def link(unfinished: Path, path: Path) -> bool:
    """Give the file its name unless that is taken; whether it was free. Raises StoreUnusable without hard links."""
    try:
        path.hardlink_to(unfinished)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}:
            raise
        raise StoreUnusable(
            "this file system takes no hard links", hint="Put the folder on one that does: ext4, xfs, btrfs, zfs, NFS."
        ) from error
    return True


def make_folders(root: Path, folder: Path) -> None:
    """Make ``folder`` and what is missing between it and ``root``, each named for good before the next."""
    missing = [step for step in (folder, *folder.parents) if root in step.parents and not step.is_dir()]
    for step in reversed(missing):
        step.mkdir(mode=0o700, exist_ok=True)
        sync_folder(step.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in it last: a file's own fsync does not (fsync(2), "Notes")."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def files(folder: Path, under: str, prefix: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Every file below ``folder`` as its path from the root and its entry, ordered as S3 orders keys.

    ``under`` is the folder's own path from the root, with its slash. Folders where nothing can begin with ``prefix``
    are not looked into, nor hidden ones, nor ``lost+found``; no symbolic link is followed.
    """
    with answers(under, missing=StoreFailed):
        entries = sorted(os.scandir(folder), key=_order)
    for entry in entries:
        path = under + entry.name
        if entry.is_file(follow_symlinks=False):
            yield path, entry
        elif entry.is_dir(follow_symlinks=False) and _leads_to(f"{path}/", entry.name, prefix):
            yield from files(folder / entry.name, f"{path}/", prefix)


def _leads_to(path: str, name: str, prefix: str) -> bool:
    hidden = name.startswith(".") or name == "lost+found"
    return not hidden and (path.startswith(prefix) or prefix.startswith(path))


def _order(entry: os.DirEntry[str]) -> bytes:
    """A folder stands where its slash puts its files: ``a-b``, ``a/b``, ``a0``."""
    return os.fsencode(entry.name) + (b"/" if entry.is_dir(follow_symlinks=False) else b"")

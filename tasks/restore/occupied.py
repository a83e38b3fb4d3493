"""Who uses a directory: told by this machine's processes themselves.

Compared by device and inode, so that a server in a container, which calls the place by another name, is seen too.
Processes of other users can only be looked at by root.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tasks.errors import DirectoryInUse

__all__ = ["check_free"]

Inode = tuple[int, int]


def check_free(folder: Path) -> None:
    """
    Raises:
        DirectoryInUse: a process other than our own and its ancestors has the folder as its working directory, or
            a file in it open; it is named.
    """
    inodes = set(_inodes(folder))
    if not inodes:
        return
    ours = set(_ancestors(os.getpid()))
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        if pid not in ours and any(inode in inodes for inode in _used_by(entry)):
            raise DirectoryInUse(f"{folder} is in use by {_name(entry)} (process {pid})")


def _inodes(folder: Path) -> Iterator[Inode]:
    """The folder, and everything in it."""
    for root, _, files in os.walk(folder):
        for path in (root, *(os.path.join(root, name) for name in files)):  # noqa: PTH118 - as os.walk gives them
            with suppress(OSError):
                facts = os.lstat(path)
                yield facts.st_dev, facts.st_ino


def _used_by(process: Path) -> Iterator[Inode]:
    """Its working directory and its open files; those that may not be looked at are left out."""
    places = [process / "cwd"]
    with suppress(OSError):
        places += (process / "fd").iterdir()
    for place in places:
        with suppress(OSError):
            facts = place.stat()  # follows the link of /proc into whatever mount the process sees
            yield facts.st_dev, facts.st_ino


def _ancestors(pid: int) -> Iterator[int]:
    while pid > 0:
        yield pid
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return
        pid = int(stat.rpartition(")")[2].split()[1])


def _name(process: Path) -> str:
    try:
        return (process / "comm").read_text().strip()
    except OSError:
        return "a process"

"""What this machine shows of a server that runs on it: its command line, its configuration file, its AOF.

A server elsewhere shows nothing, and then nothing is guessed: a file of the same name that lies here would be somebody
else's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from tasks.enforce.facts import AofFiles
from tasks.host import Host, Process

__all__ = ["Seen", "aof_files", "file_system", "seen_of"]


@dataclass(frozen=True)
class Seen:
    """A server's process on this machine, be it in a container."""

    process: Process

    @property
    def in_container(self) -> bool:
        """It has process numbers of its own."""
        return len(self.process.status.get("NSpid", "").split()) > 1

    def goes_with_container(self, path: str) -> bool:
        """What the server calls so lies in the layer that its container has to itself: not in the image, and not on a
        volume, so a container that is made anew does not have it."""
        if not self.in_container:
            return False
        try:
            return file_system((self.process.path / "mountinfo").read_text(errors="replace"), path) == "overlay"
        except OSError:
            return False

    def cmdline(self) -> bytes:
        """As the kernel has it; empty where it has gone."""
        try:
            return (self.process.path / "cmdline").read_bytes()
        except OSError:
            return b""

    def path(self, path: str) -> Path:
        """Where we find what the server calls so: through its own root, for a container has another.

        Raises:
            PermissionError: we may not, and it may have another.
        """
        root = self.process.path / "root"
        try:
            root.stat()
        except PermissionError:
            if self.in_container:
                raise
            return Path(path)  # a process of another user, among ours
        return root / PurePosixPath(path).relative_to("/")

    def texts(self, base: str, pattern: str) -> Iterator[str]:
        """The files that an ``include`` in the file `base` names. Raises OSError, UnicodeError."""
        place = PurePosixPath(base).parent / pattern
        folder = self.path(str(place.parent))
        found = sorted(folder.glob(place.name)) if set(place.name) & set("*?[") else [folder / place.name]
        for each in found:
            yield each.read_text()


def file_system(mountinfo: str, path: str) -> str:
    """The kind of file system that a path is on, by a process' ``mountinfo`` (proc(5)); empty where it does not say.

    >>> mounts = "1 0 0:50 / / rw - overlay overlay rw\\n2 1 8:1 /redis /etc/redis rw shared:1 - ext4 /dev/sda1 rw\\n"
    >>> file_system(mounts, "/etc/redis/redis.conf"), file_system(mounts, "/etc/redis.conf")
    ('ext4', 'overlay')
    """
    kind, longest = "", 0
    for line in mountinfo.splitlines():
        mount, _, told = line.partition(" - ")
        point = mount.split()[4]
        if PurePosixPath(path).is_relative_to(point) and len(point) >= longest:
            kind, longest = told.split()[0], len(point)
    return kind


def seen_of(info: Mapping[str, str]) -> Seen | None:
    """The process of a server, if it is one of this machine's.

    Args:
        info: all of its INFO.
    """
    host = Host()
    if not host.is_that_of(info.get("os", ""), int(info.get("total_system_memory", 0))):
        return None
    process = host.process_of(int(info["process_id"]), float(info["uptime_in_seconds"]))
    return Seen(process) if process else None


def aof_files(folder: Path, config: Mapping[str, str]) -> AofFiles | None:
    """The AOF in that folder, whole enough for a server to start from: the manifest of a multi-part one, or a file
    with something in it (6.2). What an unfinished first rewrite leaves is none. Raises OSError.

    Args:
        config: `dir`, `appendfilename` and, from 7.0 on, `appenddirname`.
    """
    name = config.get("appendfilename", "appendonly.aof")
    place = config.get("appenddirname", name)
    if "appenddirname" in config:
        whole = (folder / place / f"{name}.manifest").exists()
        files = list((folder / place).iterdir()) if whole else []
    else:
        files = [each for each in [folder / place] if each.exists() and each.stat().st_size]
    if not files:
        return None
    newest = max(each.stat().st_mtime for each in files)
    return AofFiles(PurePosixPath(config["dir"], place), datetime.fromtimestamp(newest, UTC))

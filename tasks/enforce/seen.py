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

__all__ = ["Seen", "aof_files", "seen_of"]


@dataclass(frozen=True)
class Seen:
    """A server's process on this machine, be it in a container."""

    process: Process

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
            if len(self.process.status.get("NSpid", "").split()) > 1:
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

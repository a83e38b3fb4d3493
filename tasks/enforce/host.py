"""What this machine shows of a server that runs on it: its process, its configuration file, its AOF.

A server elsewhere, or in a container of its own, shows nothing, and then nothing is guessed: a file of the same name
that lies here would be somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from tasks.enforce.facts import AofFiles
from tasks.server import Server

__all__ = ["Process", "aof_files", "process_of"]


@dataclass(frozen=True)
class Process:
    """A server's process, seen from here. `cmdline` as the kernel has it."""

    pid: int
    cmdline: bytes

    def path(self, path: str) -> Path:
        """Where we find what the server calls so; through its own root where we may, for a container has another."""
        root = Path(f"/proc/{self.pid}/root")
        inside = root / PurePosixPath(path).relative_to("/")
        with suppress(PermissionError):
            root.stat()
            return inside
        return Path(path)

    def texts(self, base: str, pattern: str) -> Iterator[str]:
        """The files that an ``include`` in the file `base` names. Raises OSError, UnicodeError."""
        folder = self.path(str(PurePosixPath(pattern if pattern.startswith("/") else base).parent))
        name = PurePosixPath(pattern).name
        found = sorted(folder.glob(name)) if set(name) & set("*?[") else [folder / name]
        for each in found:
            yield each.read_text()


def process_of(server: Server, info: Mapping[str, str]) -> Process | None:
    """The process that answers there, if it is one of this machine's: it is reached without a network, and the
    process of that number has the title of a server on that port.

    Args:
        info: INFO server.
    """
    pid, port = info.get("process_id", ""), info.get("tcp_port", "")
    if not server.is_here or not pid.isdigit():
        return None
    try:
        cmdline = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return None
    program, _, listens = cmdline.partition(b"\0")[0].decode(errors="replace").partition(" ")
    same_program = PurePosixPath(program).name == PurePosixPath(info.get("executable", "")).name
    same_port = f":{port}" in listens or (port == "0" and "unixsocket:" in listens)
    return Process(int(pid), cmdline) if same_program and same_port else None


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

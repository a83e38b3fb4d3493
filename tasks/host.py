"""This machine, as its kernel tells: memory, swap, cgroup limits, disks; and which of its processes a server is."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tasks.guard import Disk, Machine

__all__ = ["Host", "Process", "disk_at"]

SERVERS = re.compile(r"redis|valkey|keydb")
NEAR = 3.0
"""Seconds by which a server's own idea of its age may differ from the kernel's: it counts from a little later."""


@dataclass(frozen=True)
class Process:
    """A server's process here.

    Attributes:
        path: its folder in /proc.
        status: the lines of its `status`, by name.
    """

    path: Path
    status: dict[str, str]

    def bytes_of(self, name: str) -> int:
        """A figure like VmSwap; 0 where the kernel has none."""
        return _kilobytes(self.status.get(name, ""))


class Host:
    """
    Args:
        proc, sys: where the kernel's files are.
    """

    def __init__(self, proc: Path = Path("/proc"), sys: Path = Path("/sys")) -> None:
        self.proc = proc
        self.sys = sys

    def is_that_of(self, system: str, total_memory: int) -> bool:
        """Whether a server that names this system (INFO os) and so much memory may run here: kernel and memory are
        the same to the byte. In a container they are those of its machine."""
        return system.split()[1:2] == [os.uname().release] and total_memory == self.meminfo().get("MemTotal")

    def process_of(self, pid: int, uptime: float) -> Process | None:
        """The server that calls itself `pid` and is so many seconds old. In a container a process has another number
        there; where two would fit, none is taken."""
        direct = self.proc / str(pid)
        folders = [direct] if self._fits(direct, pid, uptime) else self._servers()
        found = [each for each in folders if self._fits(each, pid, uptime)]
        return Process(found[0], _fields(found[0] / "status")) if len(found) == 1 else None

    def machine(self, process: Process | None, *, rss: int, swapping: float = 0.0) -> Machine:
        """What there is for a server, and where its process is known, for that one."""
        memory = self.meminfo()
        policy = int(_text(self.proc / "sys/vm/overcommit_memory") or 0)
        limit, headroom = self._cgroup(process, memory.get("MemTotal", 0)) if process else (None, None)
        return Machine(
            available=memory.get("MemAvailable", 0),
            total=memory.get("MemTotal", 0),
            limit=limit,
            headroom=headroom,
            swapped=process.bytes_of("VmSwap") if process else 0,
            swapping=swapping,
            stalled=self._stalled(),
            overcommit=policy,
            committable=memory.get("CommitLimit", 0) - memory.get("Committed_AS", 0) if policy == 2 else None,
            to_commit=process.bytes_of("VmData") if process else rss,
            huge_pages=self._huge_pages(process),
        )

    def meminfo(self) -> dict[str, int]:
        """/proc/meminfo, in bytes."""
        return {name: _kilobytes(value) for name, value in _fields(self.proc / "meminfo").items()}

    def swapped_bytes(self) -> int:
        """All that went to and from swap since the machine started."""
        moved = dict(line.split() for line in _text(self.proc / "vmstat").splitlines())
        return (int(moved.get("pswpin", 0)) + int(moved.get("pswpout", 0))) * os.sysconf("SC_PAGE_SIZE")

    # -- processes -------------------------------------------------------------------------------------------

    def _servers(self) -> Iterator[Path]:
        with suppress(OSError):
            for folder in self.proc.iterdir():
                if folder.name.isdigit() and SERVERS.search(_text(folder / "comm")):
                    yield folder

    def _fits(self, folder: Path, pid: int, uptime: float) -> bool:
        if not SERVERS.search(_text(folder / "comm")):
            return False
        numbers = _fields(folder / "status").get("NSpid", folder.name).split()
        return numbers[-1:] == [str(pid)] and abs(self._age(folder) - uptime) <= NEAR

    def _age(self, folder: Path) -> float:
        """Seconds since a process began (proc(5): field 22 of its stat, in ticks since the machine's start)."""
        fields = _text(folder / "stat").rpartition(")")[2].split()
        now = _text(self.proc / "uptime").split()
        if len(fields) < 20 or not now:
            return float("inf")
        return float(now[0]) - int(fields[19]) / os.sysconf("SC_CLK_TCK")

    # -- memory ----------------------------------------------------------------------------------------------

    def _cgroup(self, process: Process, total: int) -> tuple[int | None, int | None]:
        """The limit of the process' memory cgroup that leaves the least, and what it leaves."""
        found = [each for each in self._limits(process) if each[0] < total]
        return min(found, key=lambda each: each[1]) if found else (None, None)

    def _limits(self, process: Process) -> Iterator[tuple[int, int]]:
        """(limit, headroom) of its memory cgroup and of each one above."""
        lines = [line.split(":", 2) for line in _text(process.path / "cgroup").splitlines()]
        old = next((path for _, kinds, path in lines if "memory" in kinds.split(",")), None)
        new = next((path for number, kinds, path in lines if number == "0" and not kinds), None)
        top = self.sys / "fs/cgroup"
        if old is not None:
            for folder in _upwards(top / "memory", old):
                yield from _limit_v1(folder)
        elif new is not None:
            for folder in _upwards(top, new):
                yield from _limit_v2(folder)

    def _stalled(self) -> float:
        found = re.match(r"some avg10=([0-9.]+)", _text(self.proc / "pressure/memory"))
        return float(found[1]) if found else 0.0

    def _huge_pages(self, process: Process | None) -> bool:
        """Forced on everybody, and the server has not opted out (it does by itself, from 6.2 on)."""
        forced = "[always]" in _text(self.sys / "kernel/mm/transparent_hugepage/enabled")
        return forced and (process is None or process.status.get("THP_enabled", "1") != "0")


def disk_at(path: Path) -> Disk | None:
    """The file system under a path, or None where it may not be looked at."""
    try:
        found = os.statvfs(path)
        return Disk(str(path.resolve()), found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize)
    except OSError:
        return None


# -- cgroups ---------------------------------------------------------------------------------------------


def _upwards(top: Path, path: str) -> Iterator[Path]:
    """A cgroup's folder and all above it. In a container its own cgroup may be mounted as the top, under its outer
    name; a neighbour's cannot be seen at all (``/../name``)."""
    below = Path(path.lstrip("/"))
    if ".." in below.parts:
        return
    folder = top / below
    if not folder.is_dir():
        folder = top
    yield folder
    while folder != top:
        folder = folder.parent
        yield folder


def _limit_v2(folder: Path) -> Iterator[tuple[int, int]]:
    limits = [int(text) for name in ("memory.max", "memory.high") if (text := _text(folder / name)).isdigit()]
    used = _text(folder / "memory.current")
    if limits and used.isdigit():
        stat = _figures(folder / "memory.stat")
        cache = sum(stat.get(name, 0) for name in ("inactive_file", "active_file", "slab_reclaimable"))
        yield min(limits), max(min(limits) - int(used) + cache, 0)


def _limit_v1(folder: Path) -> Iterator[tuple[int, int]]:
    limit, used = _text(folder / "memory.limit_in_bytes"), _text(folder / "memory.usage_in_bytes")
    if limit.isdigit() and used.isdigit():
        stat = _figures(folder / "memory.stat")
        cache = stat.get("total_inactive_file", 0) + stat.get("total_active_file", 0)
        yield int(limit), max(int(limit) - int(used) + cache, 0)


# -- the kernel's files ----------------------------------------------------------------------------------


def _text(path: Path) -> str:
    """What stands there; nothing where it may not be read or has gone, as processes do."""
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _fields(path: Path) -> dict[str, str]:
    lines = (line.partition(":") for line in _text(path).splitlines())
    return {name: value.strip() for name, _, value in lines}


def _figures(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in _text(path).splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _kilobytes(value: str) -> int:
    """
    >>> _kilobytes("24684084 kB")
    25276502016
    """
    figure = value.removesuffix("kB").strip()
    return int(figure) * 1024 if figure.isdigit() else 0

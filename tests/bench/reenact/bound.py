"""A machine without memory to spare: a memory control group, where this machine lets us make one, with swap.

Version 1 (a hierarchy of its own at ``memory``) or 2 (with the controller handed down). Page cache counts too, as it
does on a machine. Where the machine has no swap it is given a file of ours for as long as this lasts.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

__all__ = ["Bound"]

ROOT = Path("/sys/fs/cgroup")
NAMES = {  # of version 1, of version 2
    "limit": ("memory.limit_in_bytes", "memory.max"),
    "usage": ("memory.usage_in_bytes", "memory.current"),
    "events": ("memory.oom_control", "memory.events"),
}
SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


class Bound:
    """Use as a context manager. `why_not` says why there is none, and then nothing is bounded; `no_swap` why nothing
    in it is ever swapped out."""

    def __init__(self, folder: Path, swap: int) -> None:
        """``swap``: bytes of the file in ``folder`` that is swapped to where the machine has nothing else."""
        self.why_not = ""
        self.no_swap = ""
        self._version = 1 if (ROOT / "memory" / "cgroup.procs").exists() else 2
        self._group = (ROOT / "memory" if self._version == 1 else ROOT) / f"redkeep-{secrets.token_hex(4)}"
        self._swap, self._swap_size = folder / "swap", swap

    def __enter__(self) -> Self:
        try:
            self._group.mkdir()
            self._file("limit").read_text()
        except OSError as error:
            self.why_not = f"no memory control group can be made here ({error.strerror})"
        else:
            self._swap_on()
        return self

    def __exit__(self, *_: object) -> None:
        for _ in range(50):  # its processes have ended, and the kernel takes a moment to see it
            with suppress(FileNotFoundError):
                try:
                    self._group.rmdir()
                except OSError:
                    time.sleep(0.1)
                    continue
            break
        if self._swap.exists():
            subprocess.run([_tool("swapoff"), self._swap], capture_output=True, check=False)
            self._swap.unlink()

    def limit(self, size: int) -> None:
        """Bytes of memory for all that is in it, now and later."""
        if not self.why_not:
            self._file("limit").write_text(str(size))

    def take(self, pid: int) -> None:
        """Put a process into it, and what it starts from now on."""
        if not self.why_not:
            (self._group / "cgroup.procs").write_text(str(pid))

    @property
    def usage(self) -> int:
        """Bytes in use, page cache included; 0 where nothing is bounded."""
        return 0 if self.why_not else int(self._file("usage").read_text())

    @property
    def swapped(self) -> int:
        """Bytes that are swapped out; 0 where nothing is bounded."""
        if self.why_not:
            return 0
        with suppress(OSError):
            if self._version == 2:
                return int((self._group / "memory.swap.current").read_text())
            return int(self._figures("memory.stat").get("swap", 0))
        return 0

    @property
    def killed(self) -> int:
        """Processes that the kernel has ended in it for want of memory."""
        return 0 if self.why_not else int(self._figures(self._file("events").name).get("oom_kill", 0))

    def _swap_on(self) -> None:
        if len(Path("/proc/swaps").read_text().splitlines()) > 1:  # its own, below a line of titles
            return
        with self._swap.open("wb") as file:
            self._swap.chmod(0o600)
            os.posix_fallocate(file.fileno(), 0, self._swap_size)
        for tool in ("mkswap", "swapon"):
            done = subprocess.run([_tool(tool), self._swap], capture_output=True, text=True, check=False)
            if done.returncode:
                self._swap.unlink()
                self.no_swap = f"{tool}: {done.stderr.strip().splitlines()[-1].removeprefix(f'{tool}: ')}"
                return

    def _figures(self, name: str) -> dict[str, str]:
        lines = (self._group / name).read_text().splitlines()
        return dict(line.split(maxsplit=1) for line in lines if " " in line)  # type: ignore[misc]

    def _file(self, name: str) -> Path:
        return self._group / NAMES[name][self._version - 1]


def _tool(name: str) -> str:
    """A command of the administrator's, whose PATH may not be ours."""
    return shutil.which(name, path=SBIN) or name

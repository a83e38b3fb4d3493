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
    """Use as a context manager. `why_not` says why there is none, and then nothing is bounded; `swap`, in words, what
    there is to swap to."""

    def __init__(self, folder: Path, swap: int) -> None:
        """``swap``: bytes of the file in ``folder`` that is swapped to where the machine has nothing else."""
        self.why_not = ""
        self.swap = "no swap"
        self._version = 1 if (ROOT / "memory" / "cgroup.procs").exists() else 2
        self._group = (ROOT / "memory" if self._version == 1 else ROOT) / f"redkeep-{secrets.token_hex(4)}"
        self._file_swapped_to, self._swap_size = folder / "swap", swap

    def __enter__(self) -> Self:
        try:
            self._group.mkdir()
            self._file("limit").read_text()
        except OSError as error:
            self.why_not = f"no memory control group can be made here ({error.strerror})"
            return self
        try:
            self.swap = self._swap_on()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._remove_group()
        finally:
            if self._file_swapped_to.exists():
                self._swap_off()

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

    def _swap_on(self) -> str:
        if len(Path("/proc/swaps").read_text().splitlines()) > 1:  # below a line of titles
            return "the machine's own swap"
        path = self._file_swapped_to
        try:
            with path.open("wb") as file:
                path.chmod(0o600)
                os.posix_fallocate(file.fileno(), 0, self._swap_size)
            for tool in ("mkswap", "swapon"):
                subprocess.run([_tool(tool), path], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            path.unlink(missing_ok=True)
            return f"no swap ({getattr(error, 'stderr', '') or error})".replace("\n", " ")
        return f"a swap file of {self._swap_size / 1e9:.0f} GB"

    def _swap_off(self) -> None:
        path = self._file_swapped_to
        done = subprocess.run([_tool("swapoff"), path], capture_output=True, text=True, check=False)
        if done.returncode and str(path) in Path("/proc/swaps").read_text():
            raise SystemExit(f"{done.stderr.strip()}\nStill swapped to: swapoff {path}; then remove it.")
        path.unlink()

    def _remove_group(self) -> None:
        for _ in range(50):  # its processes have ended, and the kernel takes a moment to see it
            try:
                self._group.rmdir()
            except FileNotFoundError:
                return
            except OSError:
                time.sleep(0.1)
                continue
            return

    def _figures(self, name: str) -> dict[str, str]:
        lines = (self._group / name).read_text().splitlines()
        return dict(line.split(maxsplit=1) for line in lines if " " in line)  # type: ignore[misc]

    def _file(self, name: str) -> Path:
        return self._group / NAMES[name][self._version - 1]


def _tool(name: str) -> str:
    """A command of the administrator's, whose PATH may not be ours."""
    return shutil.which(name, path=SBIN) or name

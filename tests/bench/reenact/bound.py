"""A machine without memory to spare: a memory control group, where this machine lets us make one.

Version 1 (a hierarchy of its own at ``memory``) or 2 (with the controller handed down). Page cache counts too, as it
does on a machine; there is no swap beside it.
"""

from __future__ import annotations

import secrets
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


class Bound:
    """Use as a context manager; `why_not` says why there is none, and then nothing is bounded."""

    def __init__(self) -> None:
        self.why_not = ""
        self._version = 1 if (ROOT / "memory" / "cgroup.procs").exists() else 2
        self._group = (ROOT / "memory" if self._version == 1 else ROOT) / f"redkeep-{secrets.token_hex(4)}"

    def __enter__(self) -> Self:
        try:
            self._group.mkdir()
            self._file("limit").read_text()
        except OSError as error:
            self.why_not = f"no memory control group can be made here ({error.strerror})"
        return self

    def __exit__(self, *_: object) -> None:
        for _ in range(50):  # its processes have ended, and the kernel takes a moment to see it
            with suppress(FileNotFoundError):
                try:
                    self._group.rmdir()
                except OSError:
                    time.sleep(0.1)
                    continue
            return

    def limit(self, size: int) -> None:
        """Bytes for all that is in it, now and later."""
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
    def killed(self) -> int:
        """Processes that the kernel has ended in it for want of memory."""
        if self.why_not:
            return 0
        lines = dict(line.split() for line in self._file("events").read_text().splitlines())
        return int(lines.get("oom_kill", 0))

    def _file(self, name: str) -> Path:
        return self._group / NAMES[name][self._version - 1]

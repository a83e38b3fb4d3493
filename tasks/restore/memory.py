"""What a data set needs in a server's memory, and what this machine has."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

from tasks.manifest import Manifest

__all__ = ["available_here", "needed_for"]

PER_RDB_BYTE = 2.0
"""Bytes in memory per byte of RDB, where the manifest does not tell: 1.4 for a site's sessions, 2 for small keys."""


def needed_for(manifest: Manifest) -> int:
    """Bytes that the snapshot will take in a server; what the server it came from used, where that is known."""
    return manifest.server.used_memory or round(manifest.plaintext.bytes * PER_RDB_BYTE)


def available_here() -> int:
    """Bytes that a process of this machine, or of this container, may still take without anybody swapping."""
    found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    machine = int(found[1]) * 1024 if found else 0
    return min(machine, _left_in_cgroup() or machine)


def _left_in_cgroup() -> int | None:
    """Of the limit of this container (cgroup v2), None where there is none."""
    with suppress(OSError, ValueError):
        folder = Path("/sys/fs/cgroup")
        limit = int((folder / "memory.max").read_text())  # ValueError: "max"
        used = int((folder / "memory.current").read_text())
        cache = re.search(r"^inactive_file (\d+)$", (folder / "memory.stat").read_text(), re.MULTILINE)
        return max(limit - used + (int(cache[1]) if cache else 0), 0)
    return None

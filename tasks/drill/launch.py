"""Becomes a program that neither outlives nor out-eats whoever started it. Run by path, on the standard library alone:

    python -I -S launch.py PARENT BYTES PROGRAM ARGUMENT...

In a process of its own, and not between fork and exec, where the locks of the parent's other threads stand still.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
"""prctl(2): the kernel sends us that signal when the thread that started us ends."""


def become(parent: int, memory: int, command: list[str]) -> None:
    """Never returns."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the kernel knew of us
        sys.exit("whoever started this has ended")
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # if memory runs out all the same, this goes first
    os.nice(10)
    os.execv(command[0], command)  # noqa: S606 - no shell: that is the point


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])

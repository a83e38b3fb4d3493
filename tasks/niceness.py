"""Standing back: what works for redkeep leaves the processors to the server under care and to its saving child."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["NICE", "stand_back"]

NICE = 5
"""Where processors are scarce, a third of what the server gets (sched(7)). At 10, a tenth, a backup beside twenty busy
processes took ten times as long, and the server's file, which it holds open, with it."""


def stand_back() -> None:
    """Make this process nice, a pool child of a worker; one that is nicer already stays so.

    Where Linux groups processes by session, niceness counts within the session only, so the session's group gets it
    as well (sched(7), "The autogroup feature"); but only where the worker leads it: a shell's is not ours to change.
    Between control groups neither counts: there it is CPUWeight (systemd) or cpu_shares (containers).
    """
    os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    if os.getsid(0) == os.getppid():
        with suppress(OSError):  # a kernel without it
            Path("/proc/self/autogroup").write_text(str(NICE))

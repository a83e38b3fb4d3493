"""What a piece of work costs: seconds, CPU seconds of everything that took part, memory at its peak.

with Cost(standing=[redis, s3, worker], ours=[worker]) as cost:
    ...
cost.seconds, cost.cpu, cost.peak
"""

from __future__ import annotations

import os
import resource
import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

__all__ = ["Cost", "cpu_seconds", "group", "pss"]

TICK = os.sysconf("SC_CLK_TCK")
LOOK = 0.1
"""Seconds between two looks at the memory; each look costs a walk over page tables."""


class Cost:
    """Use as a context manager around the work; the figures are there when it has ended.

    Attributes:
        began, ended: ``time.monotonic()``.
        cpu: seconds of the processes in the groups of ``standing`` (children that ended are in their parents' figures)
            and of all that this process started and waited for meanwhile.
        peak: megabytes (10**6) that the groups in ``ours`` held at once, pages that several share counted once.
    """

    def __init__(self, standing: Sequence[int], ours: Sequence[int] = ()) -> None:
        self.began = self.ended = 0.0
        self.cpu = self.peak = 0.0
        self.ours = list(ours)  # whoever starts a process of ours meanwhile adds it
        self._standing = standing
        self._done = threading.Event()
        self._watching = threading.Thread(target=self._watch, daemon=True)

    @property
    def seconds(self) -> float:
        return self.ended - self.began

    def __enter__(self) -> Self:
        self._watching.start()
        self.cpu = -self._cpu_now()
        self.began = time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended = time.monotonic()
        self.cpu += self._cpu_now()
        self._done.set()
        self._watching.join()

    def _cpu_now(self) -> float:
        waited_for = resource.getrusage(resource.RUSAGE_CHILDREN)
        return cpu_seconds(self._standing) + waited_for.ru_utime + waited_for.ru_stime

    def _watch(self) -> None:
        while not self._done.wait(LOOK):
            self.peak = max(self.peak, sum(map(pss, group(self.ours))))


def cpu_seconds(leaders: Iterable[int]) -> float:
    """Of the processes in those groups and of their children that ended (proc_pid_stat(5), fields 14 to 17)."""
    total = 0
    for pid in group(leaders):
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended since; its parent counts it
        total += sum(map(int, fields[11:15]))
    return total / TICK


def group(leaders: Iterable[int]) -> list[int]:
    """The processes of those process groups."""
    wanted = set(leaders)
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) in wanted:
                    found.append(int(entry.name))
            except ProcessLookupError:
                continue
    return found


def pss(pid: int) -> float:
    """Megabytes (10**6)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6

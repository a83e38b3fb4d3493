"""What a fork will cost: pure arithmetic on the sheet. `redkeep history --guard` shows it beside what it did cost."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.guard.sheet import Fork, Past, Sheet

__all__ = ["Forecast", "forecast"]

PAGE, HUGE_PAGE = 4096, 2**21
"""Bytes that are copied when a key is first changed after a fork: one page, at the least."""
PAGES = 4
"""Pages that a change copies at the most: its key, value, and their places in two tables."""
STIR = 0.02
"""The share of its memory that a server copies without being written to."""
OWN = 2 * 2**20
"""Bytes that a child copies for its own work."""
GROWN = 1.5
"""How much larger than the last one a file may have become."""
SPEED = 100e6
"""Bytes of memory a second that a child writes out, where this server has not shown its own speed. (1.5 GB took
13.4 s with the server's compression and 8.5 s without, on two cores.)"""
USUAL_FORK = 20_000
"""Microseconds a GB that a fork takes, where this server has not shown its own: 10 to 30 ms were measured."""
LEAST_FORK = 10_000
"""The same, at the least: a server that has grown since its last fork."""
SLOWEST_FORK = 250_000
"""The same, on the slowest machine known (239 ms a GB on old Xen, by Redis' own notes on latency). What took longer
was a neighbour's doing; it would be remembered until the next fork, and must not forbid that."""
SPIKE = 3.0
"""How many times the usual writing counts at the most: it is looked at for some hundredths of a second only."""
GB = 1e9


@dataclass(frozen=True)
class Forecast:
    """
    Attributes:
        seconds: that the child will run.
        cow_bytes: memory that is copied meanwhile, and on 6.2 buffered for the new AOF.
        fork_usec: that the server will stand still.
        data_bytes, aof_bytes: disk that is taken meanwhile, in the data directory and where the AOF lies.
    """

    seconds: float
    cow_bytes: int
    fork_usec: int
    data_bytes: int
    aof_bytes: int


def forecast(sheet: Sheet, fork: Fork) -> Forecast:
    """
    >>> calm = Sheet(used=2_000_000_000, rss=2_100_000_000, dataset=1_900_000_000, forks=3, fork_usec=60_000,
    ...              save=Past(seconds=18, cow_bytes=90_000_000), writes=500, usual_writes=500)
    >>> forecast(calm, "save")
    Forecast(seconds=18.0, cow_bytes=90000000, fork_usec=60000, data_bytes=1900000000, aof_bytes=0)
    """
    seconds = _seconds(sheet, fork)
    data = aof = 0
    if fork == "rewrite":  # the new base is not larger than all that it replaces
        aof = min(sheet.dataset, sheet.aof_bytes or sheet.dataset) + int(sheet.input * seconds)
    elif fork == "save" or sheet.snapshot_on_disk:
        data = sheet.dataset
        if sheet.save_points:  # the next save of its own may be done while we still hold this one's file open
            data += min(sheet.dataset, int(sheet.dump_bytes * GROWN) or sheet.dataset)
    return Forecast(seconds, _copied(sheet, fork, seconds), _fork_usec(sheet), data, aof)


def _seconds(sheet: Sheet, fork: Fork) -> float:
    """As long as the last of the kind took, else as the other kind."""
    kinds = (sheet.rewrite, sheet.save) if fork == "rewrite" else (sheet.save, sheet.rewrite)
    known = next((past.seconds for past in kinds if past.seconds >= 0), None)
    return max(float(known), 1.0) if known is not None else max(sheet.used / SPEED, 1.0)


def _copied(sheet: Sheet, fork: Fork, seconds: float) -> int:
    """What was copied last time, stretched to this one's length and to how much more is written just now; but not more
    than today's writing can copy, or one busy night would forbid every fork after it. A server that never forked is
    taken to copy a page for each change."""
    busier = min(max(sheet.writes / sheet.usual_writes, 1.0), SPIKE) if sheet.usual_writes > 0 else 1.0
    page = HUGE_PAGE if sheet.machine is not None and sheet.machine.huge_pages else PAGE
    changed = max(sheet.writes, sheet.usual_writes) * page * seconds
    most = min(PAGES * changed + 2 * sheet.input * seconds + STIR * sheet.rss + OWN, sheet.rss)
    seen = [_stretched(past, seconds) for past in (sheet.save, sheet.rewrite) if past.seconds >= 0]
    copied = min(max(seen) * busier if seen else changed, most)
    buffered = sheet.input * seconds if fork == "rewrite" and not sheet.multi_part else 0.0
    return int(copied + buffered)


def _stretched(past: Past, seconds: float) -> float:
    return past.cow_bytes * max(seconds / max(past.seconds, 1), 1.0)


def _fork_usec(sheet: Sheet) -> int:
    size = sheet.rss / GB
    if sheet.forks == 0 or sheet.fork_usec == 0:
        return int(size * USUAL_FORK)
    return int(min(max(sheet.fork_usec, size * LEAST_FORK), max(size * SLOWEST_FORK, 1000)))

"""One condition each: what was found, in a sentence with its numbers, and what follows for the fork."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from tasks.guard.forecast import Forecast
from tasks.guard.sheet import Disk, Fork, Sheet
from tasks.settings.targets import Guard
from tasks.words import size

__all__ = ["Level", "Reason", "reasons"]

Level = Literal["ok", "warn", "defer", "refuse"]
"""From good to bad: `defer` passes by itself, `refuse` needs a person."""

SHARE = 8
"""A machine too small for `min_free_memory` keeps an eighth of its memory free, unless the setting was written down."""
MOST_DISK = 4 * 2**30
"""A disk so large that `min_free_disk` is more than this keeps this much free, unless the setting was written down."""
SWAPPING = 4 * 2**20
"""Bytes a second to and from swap from which on the machine is swapping, and not only putting away what is idle."""
STALLED = 20.0
"""Percent of the last ten seconds in which something waited for memory, from which on a fork makes it worse."""
NAMES = {"save": "a save", "sync": "a snapshot", "rewrite": "a rewrite"}


@dataclass(frozen=True)
class Reason:
    """What was found in one respect. `remedy` is for a person, and empty where nothing is wrong."""

    about: str
    level: Level
    told: str
    remedy: str = ""


def reasons(sheet: Sheet, limits: Guard, fork: Fork, expected: Forecast) -> Iterator[Reason]:
    """All of them, good ones included, in the order in which a person would ask."""
    yield _child(sheet)
    yield _replication(sheet)
    yield _fork_time(limits, expected)
    yield _memory(sheet, limits, fork, expected)
    yield from _machine(sheet)
    if expected.data_bytes:
        yield _disk("disk", sheet.data_disk, expected.data_bytes, limits, _stops_writes(sheet))
    if expected.aof_bytes:
        yield _disk("AOF disk", sheet.aof_disk, expected.aof_bytes, limits, "a full disk stops the site's writes")


def _child(sheet: Sheet) -> Reason:
    if sheet.loading:
        return Reason("child", "defer", "the server is loading its data", "It will be ready when that is done.")
    if sheet.busy:
        remedy = "It is waited for; if it never ends, read the server's log."
        return Reason("child", "defer", f"{sheet.busy} is under way", remedy)
    return Reason("child", "ok", "no save and no rewrite is under way")


def _replication(sheet: Sheet) -> Reason:
    found = sheet.replication
    about, primary = "replication", "Mend the link to its primary." if not found.link else "It ends by itself."
    if found.receiving:
        return Reason(about, "defer", "its primary is sending it the whole data set", primary)
    if not found.link:
        return Reason(about, "defer", "its link to its primary is down", primary)
    if found.sending:
        count = f"{found.sending} replica{'s' if found.sending > 1 else ''}"
        return Reason(about, "defer", f"it is sending the whole data set to {count}", primary)
    if found.failover:
        return Reason(about, "defer", "a failover is under way", primary)
    return Reason(about, "ok", "no full resynchronisation is under way")


def _fork_time(limits: Guard, expected: Forecast) -> Reason:
    needed, allowed = expected.fork_usec / 1000, limits.max_fork_ms
    if needed > allowed:
        told = f"a fork is expected to hold the server for {needed:.4g} ms, and max_fork_ms is {allowed:g}"
        remedy = (
            "Raise [target.guard] max_fork_ms if the site can bear that; "
            "a BGSAVE by hand at a quiet hour measures it anew."
        )
        return Reason("fork time", "refuse", told, remedy)
    return Reason("fork time", "ok", f"a fork is expected to hold the server for {needed:.4g} of {allowed:g} ms")


# -- memory ----------------------------------------------------------------------------------------------


def _memory(sheet: Sheet, limits: Guard, fork: Fork, expected: Forecast) -> Reason:
    machine = sheet.machine
    if machine is None:
        if not sheet.total_memory:
            return Reason("memory", "warn", "the server does not tell how much memory its machine has")
        total, available, where = sheet.total_memory, max(sheet.total_memory - sheet.rss, 0), "by its own figures"
    elif machine.headroom is not None and machine.limit is not None and machine.headroom < machine.available:
        total, available, where = machine.limit, machine.headroom, "in its cgroup"
    else:
        total, available, where = machine.total, machine.available, "on this host"
    back = machine.swapped if machine else 0  # the child reads every page, so what is swapped out comes back
    floor = _floor(limits, total)
    needed = expected.cow_bytes + back + floor
    swapped_in = f" and to bring back {size(back)} from swap" if back else ""
    told = (
        f"{size(available)} available {where}; {NAMES[fork]} is expected to copy {size(expected.cow_bytes)}{swapped_in}"
        f" and must leave {size(floor)}"
    )
    if needed + sheet.rss > total:
        remedy = "Give it more memory, or tidy the data: even alone on that machine it could not fit."
        return Reason("memory", "refuse", f"{told}; it has {size(total)} in all, {size(sheet.rss)} of it used", remedy)
    if needed > available:
        return Reason("memory", "defer", told, "Make room there; [target.guard] min_free_memory says what must stay.")
    return Reason("memory", "ok", told)


def _floor(limits: Guard, total: int) -> int:
    if "min_free_memory" in limits.model_fields_set:
        return limits.min_free_memory
    return min(limits.min_free_memory, total // SHARE)


def _machine(sheet: Sheet) -> Iterator[Reason]:
    machine = sheet.machine
    if machine is None:
        return
    yield _swap(machine.swapped, machine.swapping, machine.stalled)
    yield _overcommit(machine.overcommit, machine.to_commit, machine.committable)
    if machine.huge_pages:
        remedy = "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"
        yield Reason("huge pages", "warn", "transparent huge pages are forced: each change copies 2 MiB", remedy)
    else:
        yield Reason("huge pages", "ok", "transparent huge pages are not forced on the server")


def _swap(swapped: int, swapping: float, stalled: float) -> Reason:
    remedy = "See what else runs there, and give the machine more memory."
    if swapping >= SWAPPING:
        return Reason("swap", "defer", f"the machine is swapping {size(swapping)} a second", remedy)
    if stalled >= STALLED:
        return Reason("swap", "defer", f"processes waited for memory in {stalled:g}% of the last ten seconds", remedy)
    if swapped:
        return Reason("swap", "warn", f"{size(swapped)} of the server are swapped out", remedy)
    return Reason("swap", "ok", "nothing of the server is swapped out, and nothing is swapping")


def _overcommit(policy: int, to_commit: int, committable: int | None) -> Reason:
    about, remedy = "overcommit", "sysctl vm.overcommit_memory=1, and write that into /etc/sysctl.d."
    if committable is not None and to_commit > committable:
        told = f"vm.overcommit_memory is {policy}: a fork promises {size(to_commit)}, {size(committable)} are left"
        return Reason(about, "refuse", told, remedy)
    if policy != 1:
        told = f"vm.overcommit_memory is {policy}: a fork may be refused when memory is short"
        return Reason(about, "warn", told, remedy)
    return Reason(about, "ok", "vm.overcommit_memory is 1")


# -- disk ------------------------------------------------------------------------------------------------


def _disk_floor(limits: Guard, total: int) -> int:
    asked = limits.min_free_disk.of(total)
    return asked if "min_free_disk" in limits.model_fields_set else min(asked, MOST_DISK)


def _stops_writes(sheet: Sheet) -> str:
    return "with its save points a full disk stops the site's writes" if sheet.save_points else ""


def _disk(about: str, disk: Disk | None, wanted: int, limits: Guard, matter: str) -> Reason:
    if disk is None:
        return Reason(about, "ok", "its disk cannot be seen from here")
    floor = _disk_floor(limits, disk.total)
    told = f"{size(disk.free)} free in {disk.path}; up to {size(wanted)} are needed and {size(floor)} must stay free"
    if wanted + floor > disk.total:
        remedy = "Give it a larger disk: not even an empty one of this size would do."
        return Reason(about, "refuse", f"{told}, of {size(disk.total)} in all", remedy)
    if wanted + floor > disk.free:
        told = f"{told}: {matter}" if matter else told
        return Reason(about, "defer", told, "Make room there; [target.guard] min_free_disk says what must stay.")
    return Reason(about, "ok", told)

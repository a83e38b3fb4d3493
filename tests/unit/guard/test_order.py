"""Whatever the figures: a worse machine never makes the guard kinder."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tasks.guard import Disk, Fork, Machine, Past, Sheet, judge
from tasks.settings.targets import Guard

SEVERITY = {"go": 0, "defer": 1, "refuse": 2}
SIZES = st.integers(0, 2**42)
RATES = st.floats(0, 1e7)
FORKS: st.SearchStrategy[Fork] = st.sampled_from(["save", "sync", "rewrite"])


@st.composite
def sheets(draw: st.DrawFn) -> Sheet:
    total = draw(st.integers(2**28, 2**42))
    machine = Machine(available=draw(st.integers(0, total)), total=total, swapped=draw(SIZES), swapping=draw(RATES))
    disk = Disk("/data", draw(SIZES), draw(SIZES))
    past = st.builds(Past, st.integers(-1, 10_000), SIZES)
    return Sheet(
        used=draw(SIZES), rss=draw(SIZES), dataset=draw(SIZES), total_memory=total,
        forks=draw(st.integers(0, 3)), fork_usec=draw(st.integers(0, 10**7)),
        save=draw(past), rewrite=draw(past), writes=draw(RATES), usual_writes=draw(RATES), input=draw(RATES),
        multi_part=draw(st.booleans()), save_points=draw(st.booleans()), snapshot_on_disk=draw(st.booleans()),
        machine=machine, data_disk=disk, aof_disk=disk,
    )  # fmt: skip


@given(sheets(), FORKS, SIZES, RATES)
def test_a_worse_machine_is_never_judged_more_kindly(sheet: Sheet, fork: Fork, less: int, more: float) -> None:
    assert sheet.machine is not None
    assert sheet.data_disk is not None
    limits = Guard()
    before = SEVERITY[judge(sheet, limits, fork).word]
    machine = sheet.machine
    fuller = replace(sheet.data_disk, free=max(sheet.data_disk.free - less, 0))
    worse = [
        replace(sheet, machine=replace(machine, available=max(machine.available - less, 0))),
        replace(sheet, machine=replace(machine, swapped=machine.swapped + less)),
        replace(sheet, machine=replace(machine, swapping=machine.swapping + more)),
        replace(sheet, data_disk=fuller, aof_disk=fuller),
        replace(sheet, save_points=True),
        replace(sheet, busy="a save"),
        replace(sheet, save=replace(sheet.save, cow_bytes=sheet.save.cow_bytes + less)),
    ]
    for each in worse:
        assert SEVERITY[judge(each, limits, fork).word] >= before


@given(sheets(), FORKS)
def test_every_verdict_gives_a_reason_for_each_condition_and_a_remedy_where_it_is_not_good(
    sheet: Sheet, fork: Fork
) -> None:
    verdict = judge(sheet, Guard(), fork)
    about = [reason.about for reason in verdict.reasons]
    assert len(set(about)) == len(about)
    assert {"child", "replication", "fork time", "memory", "swap", "overcommit", "huge pages"} <= set(about)
    assert all(reason.told and (reason.remedy or reason.level == "ok") for reason in verdict.reasons)
    assert (verdict.word == "go") == (not verdict.of("defer") and not verdict.of("refuse"))

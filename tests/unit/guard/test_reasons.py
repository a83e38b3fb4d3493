"""Each condition of the guard, by a fact sheet: what it says, with which numbers, and what follows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tasks.guard import Disk, Fork, Machine, Past, Reason, Replication, Sheet, Verdict, judge
from tasks.settings.targets import Guard

MB = 2**20
GB = 2**30

HEALTHY = Machine(available=2 * GB, total=4 * GB)
CALM = Sheet(
    used=GB,
    rss=GB + 100 * MB,
    dataset=GB,
    total_memory=4 * GB,
    forks=5,
    fork_usec=30_000,
    save=Past(10, 50 * MB),
    writes=2000.0,
    usual_writes=2000.0,
    machine=HEALTHY,
    data_disk=Disk("/data", 20 * GB, 40 * GB),
    aof_disk=Disk("/data/appendonlydir", 20 * GB, 40 * GB),
)


def judged(fork: Fork = "save", limits: dict[str, Any] | None = None, **facts: Any) -> Verdict:
    return judge(replace(CALM, **facts), Guard(**limits or {}), fork)


def about(verdict: Verdict, what: str) -> Reason:
    (found,) = [reason for reason in verdict.reasons if reason.about == what]
    return found


def on(**facts: Any) -> Machine:
    return replace(HEALTHY, **facts)


# -- healthy machines go -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fork", ["save", "sync", "rewrite"])
def test_a_calm_server_on_a_healthy_machine_may_fork(fork: Fork) -> None:
    verdict = judged(fork)
    assert verdict.word == "go"
    assert {reason.level for reason in verdict.reasons} == {"ok"}


@pytest.mark.parametrize(
    "facts",
    [
        {"machine": on(overcommit=0)},
        {"machine": on(huge_pages=True)},
        {"machine": on(swapped=20 * MB)},
        {"machine": None},
        {"machine": None, "total_memory": 0},
        {"data_disk": None, "aof_disk": None},
        {"forks": 0, "fork_usec": 0, "save": Past()},
        {"machine": on(available=400 * MB, total=GB), "used": 200 * MB, "rss": 220 * MB, "dataset": 180 * MB},
        {"machine": on(available=180 * MB, total=512 * MB), "used": 90 * MB, "rss": 100 * MB, "dataset": 80 * MB},
        {"save": Past(), "forks": 0, "writes": 5_000.0, "usual_writes": 2_000.0},
    ],
    ids=["overcommit 0", "huge pages", "a little swap", "elsewhere", "elsewhere and silent", "disks unseen",
         "never forked", "a VM of 1 GiB", "a VM of 512 MiB", "busy and never forked"],
)  # fmt: skip
@pytest.mark.parametrize("fork", ["save", "sync", "rewrite"])
def test_ordinary_machines_are_not_kept_from_their_backups(facts: dict[str, Any], fork: Fork) -> None:
    assert judged(fork, **facts).word == "go"


# -- what passes by itself ---------------------------------------------------------------------------------------------


def test_a_child_that_runs_is_waited_for_by_its_name() -> None:
    found = about(judged(busy="an AOF rewrite"), "child")
    assert (found.level, found.told) == ("defer", "an AOF rewrite is under way")


def test_loading_is_waited_for() -> None:
    assert about(judged(loading=True), "child").told == "the server is loading its data"


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (Replication(role="slave", link=False), "its link to its primary is down"),
        (Replication(role="slave", link=False, receiving=True), "its primary is sending it the whole data set"),
        (Replication(sending=1), "it is sending the whole data set to 1 replica"),
        (Replication(sending=3), "it is sending the whole data set to 3 replicas"),
        (Replication(failover=True), "a failover is under way"),
    ],
)
def test_replication_in_motion_is_waited_for(state: Replication, told: str) -> None:
    found = about(judged(replication=state), "replication")
    assert (found.level, found.told) == ("defer", told)
    assert found.remedy.endswith(".")


def test_memory_that_is_short_just_now_is_waited_for_with_its_numbers() -> None:
    found = about(judged(machine=on(available=300 * MB)), "memory")
    assert found.level == "defer"
    assert found.told == (
        "300.0 MiB available on this host; a save is expected to copy 50.0 MiB and must leave 256.0 MiB"
    )


def test_a_cgroup_that_leaves_less_than_the_host_decides() -> None:
    found = about(judged(machine=on(limit=2 * GB, headroom=200 * MB)), "memory")
    assert (found.level, found.told.partition(";")[0]) == ("defer", "200.0 MiB available in its cgroup")
    roomy = about(judged(machine=on(limit=3 * GB, headroom=3 * GB)), "memory")
    assert (roomy.level, roomy.told.partition(";")[0]) == ("ok", "2.0 GiB available on this host")


def test_what_is_swapped_out_must_have_room_to_come_back() -> None:
    found = about(judged(machine=on(available=500 * MB, swapped=300 * MB)), "memory")
    assert found.level == "defer"
    assert "to bring back 300.0 MiB from swap" in found.told


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"swapping": 30.0 * MB}, "the machine is swapping 30.0 MiB a second"),
        ({"stalled": 35.5}, "processes waited for memory in 35.5% of the last ten seconds"),
    ],
)
def test_a_machine_that_swaps_just_now_is_waited_for(facts: dict[str, float], told: str) -> None:
    found = about(judged(machine=on(**facts)), "swap")
    assert (found.level, found.told) == ("defer", told)


def test_a_page_that_is_swapped_now_and_then_is_no_matter() -> None:
    assert about(judged(machine=on(swapping=1.0 * MB, stalled=3.0)), "swap").level == "ok"


def test_a_full_disk_is_waited_for_with_its_numbers() -> None:
    found = about(judged(data_disk=Disk("/data", 3 * GB, 40 * GB)), "disk")
    assert found.level == "defer"
    assert found.told == "3.0 GiB free in /data; up to 1.0 GiB are needed and 4.0 GiB must stay free"


def test_save_points_need_room_for_two_and_say_what_a_full_disk_would_do() -> None:
    disk = Disk("/data", int(1.5 * GB), 40 * GB)
    assert about(judged(limits={"min_free_disk": "0B"}, data_disk=disk), "disk").level == "ok"
    found = about(judged(limits={"min_free_disk": "0B"}, data_disk=disk, save_points=True), "disk")
    assert found.level == "defer"
    assert found.told.endswith("with its save points a full disk stops the site's writes")


def test_the_disk_of_the_aof_is_looked_at_for_a_rewrite_alone() -> None:
    full = Disk("/aof", 100 * MB, 40 * GB)
    assert judged("save", aof_disk=full).word == "go"
    found = about(judged("rewrite", aof_disk=full), "AOF disk")
    assert (found.level, found.told.partition(";")[0]) == ("defer", "100.0 MiB free in /aof")


def test_the_disk_matters_to_a_stream_only_where_the_server_writes_a_dump_first() -> None:
    full = Disk("/data", 1, 40 * GB)
    assert judged("sync", data_disk=full).word == "go"
    assert judged("sync", data_disk=full, snapshot_on_disk=True).word == "defer"


def test_a_tenth_of_a_large_disk_is_asked_for_only_where_it_was_written_down() -> None:
    large = Disk("/data", 20 * GB, 1000 * GB)
    assert about(judged(data_disk=large), "disk").told.endswith("4.0 GiB must stay free")
    found = about(judged(limits={"min_free_disk": "10%"}, data_disk=large), "disk")
    assert (found.level, found.told.rpartition("and ")[2]) == ("defer", "100.0 GiB must stay free")


# -- what needs a person -----------------------------------------------------------------------------------------------


def test_a_fork_too_slow_for_the_site_is_refused() -> None:
    found = about(judged(limits={"max_fork_ms": 20}), "fork time")
    assert found.level == "refuse"
    assert found.told == "a fork is expected to hold the server for 30 ms, and max_fork_ms is 20"
    assert "max_fork_ms" in found.remedy


def test_memory_that_could_never_do_is_refused() -> None:
    found = about(judged(rss=int(3.9 * GB), machine=on(available=50 * MB)), "memory")
    assert found.level == "refuse"
    assert found.told.endswith("it has 4.0 GiB in all, 3.9 GiB of it used")


def test_a_cgroup_that_could_never_hold_it_is_refused() -> None:
    found = about(judged(machine=on(limit=GB + 200 * MB, headroom=100 * MB)), "memory")
    assert found.level == "refuse"


def test_a_server_elsewhere_is_judged_by_its_own_figures() -> None:
    found = about(judged(machine=None, total_memory=GB + 200 * MB), "memory")
    assert (found.level, found.told.partition(";")[0]) == ("refuse", "100.0 MiB available by its own figures")


def test_a_fork_that_the_kernel_may_not_promise_is_refused() -> None:
    found = about(judged(machine=on(overcommit=2, committable=800 * MB, to_commit=GB)), "overcommit")
    assert found.level == "refuse"
    assert found.told == "vm.overcommit_memory is 2: a fork promises 1.0 GiB, 800.0 MiB are left"
    enough = judged(machine=on(overcommit=2, committable=2 * GB, to_commit=GB))
    assert about(enough, "overcommit").level == "warn"


def test_a_disk_that_could_never_hold_it_is_refused() -> None:
    found = about(judged(data_disk=Disk("/data", GB // 2, GB)), "disk")
    assert found.level == "refuse"
    assert found.told.endswith("of 1.0 GiB in all")


# -- what is only said -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "what", "told"),
    [
        ({"overcommit": 0}, "overcommit", "vm.overcommit_memory is 0: a fork may be refused when memory is short"),
        ({"huge_pages": True}, "huge pages", "transparent huge pages are forced: each change copies 2 MiB"),
        ({"swapped": 64 * MB}, "swap", "64.0 MiB of the server are swapped out"),
    ],
)
def test_what_deserves_to_be_known_warns_and_lets_go(facts: dict[str, Any], what: str, told: str) -> None:
    verdict = judged(machine=on(**facts))
    found = about(verdict, what)
    assert (found.level, found.told, verdict.word) == ("warn", told, "go")
    assert found.remedy


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_floor_that_was_written_down_counts_on_a_small_machine_too() -> None:
    small = on(available=250 * MB, total=GB)
    facts = {"machine": small, "used": 100 * MB, "rss": 110 * MB, "dataset": 90 * MB, "save": Past(1, MB)}
    assert judged(**facts).word == "go"
    assert judged(limits={"min_free_memory": "256MiB"}, **facts).word == "defer"


def test_all_that_speaks_against_it_is_named_and_the_worst_decides() -> None:
    verdict = judged(limits={"max_fork_ms": 1}, busy="a save", machine=on(swapping=50.0 * MB))
    assert verdict.word == "refuse"
    assert [reason.about for reason in verdict.of("defer")] == ["child", "swap"]
    assert [reason.about for reason in verdict.of("refuse")] == ["fork time"]


def test_every_reason_that_is_not_good_has_a_remedy() -> None:
    bad = judged(
        limits={"max_fork_ms": 1},
        busy="a save",
        replication=Replication(sending=1),
        machine=on(available=1, swapping=50.0 * MB, overcommit=0, huge_pages=True),
        data_disk=Disk("/data", 1, 40 * GB),
    )
    assert all(reason.remedy for reason in bad.reasons)
    assert not any(reason.told.endswith(".") for reason in bad.reasons)

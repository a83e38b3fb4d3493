"""Slots that are sent once more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.records import Record
from tasks.watch.lost import Lost, lost

NOW = datetime(2026, 11, 23, 11, 30, tzinfo=UTC)
SLOT = "tasks.backup/main/2026-11-23T11:07Z"
SCHEDULES = {"tasks.backup": "7 * * * *", "tasks.watch": "*/5 * * * *"}
QUIET = 600.0


def run(state: str, minutes: float = 20, slot: str = SLOT, run_id: str = "r1") -> Record:
    return Record(run_id, state, {"slot": slot, "started": (NOW - timedelta(minutes=minutes)).timestamp()})


def gone(*runs: Record, now: datetime = NOW) -> list[Lost]:
    return list(lost("main", SCHEDULES, {"tasks.backup": runs}, now, quiet=QUIET))


@pytest.mark.parametrize("state", ["died", "deferred"])
def test_a_slot_whose_run_is_gone_is_sent_once_more_until_its_time_is_over(state: str) -> None:
    (again,) = gone(run(state))
    assert (again.task, again.slot, again.expires) == ("tasks.backup", SLOT, 37 * 60)


def test_it_is_one_run_however_many_look_and_it_is_not_sent_again() -> None:
    (one,), (other,) = gone(run("died")), gone(run("died"))
    assert one.run_id == other.run_id
    for state in ("queued", "running", "died", "deferred", "failed"):
        assert gone(run(state, run_id=one.run_id), run("died")) == []


@pytest.mark.parametrize("state", ["queued", "waiting", "running", "succeeded", "failed", "skipped", "cancelled"])
def test_a_run_that_may_still_come_or_has_said_how_it_ended_is_left_alone(state: str) -> None:
    assert gone(run(state)) == []
    assert gone(run(state), run("died", run_id="r2")) == []


def test_the_broker_gets_its_time_to_deliver_a_dead_workers_message() -> None:
    assert gone(run("died", minutes=9)) == []


def test_a_slot_that_was_never_sent_is_beats_own_business() -> None:
    assert gone() == []
    assert gone(run("died", slot="tasks.backup/main/2026-11-23T10:07Z")) == []


def test_a_slot_whose_time_is_over_is_over() -> None:
    assert gone(run("died"), now=NOW + timedelta(hours=1)) == []


def test_a_look_is_never_sent_again() -> None:
    slot = "tasks.watch/main/2026-11-23T11:30Z"
    runs: dict[str, Any] = {"tasks.watch": [run("died", slot=slot)]}
    assert list(lost("main", SCHEDULES, runs, NOW, quiet=QUIET)) == []

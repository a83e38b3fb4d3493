"""Each alarm once, then reminders, then that it is over; whatever comes, goes, and cannot be told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tasks.alarms import Alarm, Standing, course
from tasks.alarms.course import CONFIRMED, OVER, REMINDED

STALE = Alarm("age", "the newest backup is 3 h old", "Look.")
FAILED = Alarm("backup", "backup failed", "Read.", certain=True)
LOOK = 300.0
"""Seconds between two looks."""


def looked(looks: Sequence[Sequence[Alarm]], *, gap: float = LOOK) -> list[tuple[int, str, str]]:
    """What is told at which look, everything delivered."""
    standing: dict[str, Standing] = {}
    told = []
    for number, found in enumerate(looks):
        for change in course(standing, found, number * gap):
            if change.event:
                told.append((number, change.event, change.kind))
            standing.pop(change.kind, None)
            if change.after:
                standing[change.kind] = change.after
    return told


def test_a_condition_is_told_when_the_second_look_finds_it_and_its_end_when_two_do_not() -> None:
    assert looked([[STALE]] * 4 + [[]] * 3) == [(1, "raised", "age"), (5, "recovered", "age")]


def test_a_fact_is_told_at_once_and_so_is_its_end() -> None:
    assert looked([[FAILED]] * 3 + [[]] * 3) == [(0, "raised", "backup"), (3, "recovered", "backup")]


def test_what_comes_and_goes_with_every_look_wakes_nobody_and_once_told_does_not_flap() -> None:
    assert looked([[STALE], []] * 20) == []
    assert looked([[STALE], [STALE]] + [[], [STALE]] * 20) == [(1, "raised", "age")]


def test_the_bounds_fit_a_look_every_five_minutes() -> None:
    assert CONFIRMED < LOOK < OVER < 2 * LOOK


def test_there_is_a_reminder_a_day() -> None:
    told = looked([[STALE]] * (3 * 288))
    assert told[0] == (1, "raised", "age")
    assert [number for number, event, _ in told if event == "reminder"] == [289, 577]


def test_what_could_not_be_looked_for_is_not_over() -> None:
    standing = {each.kind: Standing(each.kind, "", "", each.certain, 0.0, 0.0, 0.0) for each in (STALE, FAILED)}
    (change,) = course(standing, [], 10 * LOOK, unseen={"age"})
    assert (change.kind, change.event) == ("backup", "recovered")


def test_it_is_the_newest_words_that_stand_and_the_first_alarm_of_a_kind() -> None:
    (change,) = course({}, [FAILED, Alarm("backup", "another")], 0.0)
    assert change.subject.words == "backup failed"
    before = Standing("age", "2 h old", "", False, 0.0, 0.0, 0.0)
    (change,) = course({"age": before}, [STALE], LOOK)
    assert (change.subject.words, change.subject.since, change.event) == (STALE.words, 0.0, None)


@pytest.mark.parametrize("alarm", [STALE, FAILED])
def test_what_could_not_be_told_is_due_again_at_the_next_look(alarm: Alarm) -> None:
    before = Standing(alarm.kind, "", "", alarm.certain, 0.0, LOOK)
    (raised,) = course({alarm.kind: before}, [alarm], 2 * LOOK)
    assert raised.untold is not None
    assert (raised.event, raised.untold.told) == ("raised", None)
    (again,) = course({alarm.kind: raised.untold}, [alarm], 3 * LOOK)
    assert again.event == "raised"
    (over,) = course({alarm.kind: again.after}, [], 9 * LOOK)  # type: ignore[dict-item]
    assert (over.event, over.untold) == ("recovered", again.after)


@given(st.lists(st.lists(st.sampled_from([STALE, FAILED]), max_size=2), max_size=60))
def test_events_of_a_kind_alternate(looks: list[list[Alarm]]) -> None:
    told = looked(looks)
    for kind in ("age", "backup"):
        events = [event for _, event, each in told if each == kind]
        assert events == ["raised", "recovered"] * (len(events) // 2) + ["raised"] * (len(events) % 2)


class Watching(RuleBasedStateMachine):
    """Looks at irregular times by a watcher whose messages may be lost, and whose memory may be: what somebody in the
    world outside has heard must be true, and everything that lasts must be heard."""

    @initialize()
    def begin(self) -> None:
        self.now = 0.0
        self.standing: dict[str, Standing] = {}
        self.heard: dict[str, float | None] = {"age": None, "backup": None}
        self.since: dict[str, float | None] = {"age": None, "backup": None}

    @rule(found=st.sets(st.sampled_from([STALE, FAILED])), gap=st.floats(1, 90_000), delivered=st.booleans())
    def look(self, found: set[Alarm], gap: float, delivered: bool) -> None:
        self.now += gap
        kinds = {each.kind for each in found}
        for kind, since in self.since.items():
            self.since[kind] = None if kind not in kinds else self.now if since is None else since
        for change in course(self.standing, sorted(found, key=lambda each: each.kind), self.now):
            if change.event and delivered:
                self.hear(change.event, change.kind)
            after = change.after if delivered or not change.event else change.untold
            self.standing.pop(change.kind, None)
            if after:
                self.standing[change.kind] = after
        if delivered:
            for alarm in found:
                lasted = self.now - (self.since[alarm.kind] or self.now)
                assert self.heard[alarm.kind] is not None or not (alarm.certain or lasted >= CONFIRMED)

    def hear(self, event: str, kind: str) -> None:
        last = self.heard[kind]
        if event == "raised":
            assert last is None
        elif event == "reminder":
            assert last is not None
            assert self.now - last >= REMINDED
        else:
            assert last is not None
            assert self.since[kind] is None
        self.heard[kind] = None if event == "recovered" else self.now

    @rule()
    def lose_the_control_redis(self) -> None:
        """Then everything is as if it were found for the first time."""
        self.standing.clear()
        self.heard = dict.fromkeys(self.heard)
        self.since = dict.fromkeys(self.since)

    @invariant()
    def what_stands_was_found(self) -> None:
        for each in self.standing.values():
            assert each.since <= each.seen <= self.now
            assert each.told is None or each.told <= self.now
            if self.since[each.kind] is None:
                assert each.told is not None or each.seen == self.now


TestWatching = Watching.TestCase

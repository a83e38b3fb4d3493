"""The policy: pure, explains each verdict, and never lets the last good one go."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tasks.retention.policy import SKEW, Decision, Snapshot, decide, newest_known, shrunk
from tasks.settings.targets import Keep

NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
NOTHING = Keep(last=1, hourly=0, daily=0, weekly=0, monthly=0)


def snapshot(age: timedelta, **facts: object) -> Snapshot:
    moment = NOW - age
    return Snapshot(f"{moment:%Y%m%dT%H%M%SZ}", **{"created": moment, "bytes": 1000} | facts)  # type: ignore[arg-type]


def hours(*ages: float) -> list[Snapshot]:
    return [snapshot(timedelta(hours=age)) for age in ages]


def kept(decisions: list[Decision]) -> list[str]:
    return [each.snapshot.id for each in decisions if each.action == "keep"]


# -- bounds ----------------------------------------------------------------------------------------------


def history(rng: random.Random) -> list[Snapshot]:
    """Anything that a store may hold."""
    found = []
    for number in range(rng.randrange(0, 25)):
        age = timedelta(minutes=rng.choice([rng.randrange(-600, 600), rng.randrange(0, 500_000)]))
        judged = rng.random()
        found.append(
            Snapshot(
                f"{number:03}",
                created=None if rng.random() < 0.05 else NOW - age,
                bytes=rng.choice([0, 10, 1000, rng.randrange(10_000)]),
                problem="garbage" if rng.random() < 0.1 else "",
                verified=judged < 0.3,
                drilled=judged < 0.1,
                failed=judged > 0.8,
                held="why" if rng.random() < 0.05 else None,
                settled=rng.random() < 0.1,
                tidied=rng.randrange(100),
            )
        )
    rng.shuffle(found)
    return found


@given(st.integers(0, 2**32))
@hypothesis_settings(max_examples=100, deadline=None)
def test_ten_thousand_histories_never_lose_the_newest_verified_nor_the_last_ones_nor_what_is_unknown(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(100):
        snapshots = history(rng)
        rules = {rule: rng.randrange(4) for rule in ("hourly", "daily", "weekly", "monthly")}
        keep = Keep(last=rng.randrange(1, 4), **rules)
        decisions = decide(snapshots, keep, NOW)
        assert sorted(each.snapshot.id for each in decisions) == sorted(each.id for each in snapshots)
        assert all(each.reasons for each in decisions)
        stays = set(kept(decisions))
        told = [each for each in snapshots if not each.problem and each.created and each.created <= NOW + SKEW]
        known = sorted(told, key=lambda each: (each.created or NOW, each.id), reverse=True)
        verified = [each.id for each in known if each.verified]
        assert set(verified[:1]) <= stays
        drilled = [each.id for each in known if each.drilled]
        assert set(drilled[:1]) <= stays
        assert {each.id for each in known[: keep.last]} <= stays
        assert {each.id for each in [each for each in known if not each.failed][: keep.last]} <= stays
        assert {each.id for each in snapshots} - {each.id for each in known} <= stays
        assert {each.id for each in snapshots if each.held} <= stays
        again = decide([each for each in snapshots if each.id in stays], keep, NOW)
        assert set(kept(again)) == stays, "a second run has nothing more to remove"
        assert all(each.action == "keep" for each in decide(snapshots, keep, NOW, frozen="it shrank"))


def test_ten_thousand_snapshots_are_decided_in_well_under_a_second(capsys: pytest.CaptureFixture[str]) -> None:
    snapshots = [snapshot(timedelta(hours=age), verified=age % 24 == 3) for age in range(10_000)]
    began = time.perf_counter()
    decisions = decide(snapshots, Keep(), NOW, frozen=shrunk(snapshots, 0.5, NOW))
    took = time.perf_counter() - began
    assert len(decisions) == 10_000
    with capsys.disabled():
        print(f" [decide over 10,000 snapshots: {took * 1000:.0f} ms]", end="")


# -- buckets ---------------------------------------------------------------------------------------------


def test_the_newest_of_each_hour_stays() -> None:
    keep = NOTHING.model_copy(update={"hourly": 2})
    found = decide(hours(0, 0.2, 1, 1.2, 2), keep, NOW)
    assert [each.action for each in found] == ["keep", "remove", "keep", "remove", "remove"]
    assert found[0].reasons == ("last 1 of 1", "hourly 1 of 2 (2026-11-23 12h)")
    assert found[1].reasons == ("no rule keeps it",)


def test_days_without_a_backup_do_not_count() -> None:
    keep = NOTHING.model_copy(update={"daily": 3})
    found = decide([snapshot(timedelta(days=age)) for age in (0, 40, 41, 300)], keep, NOW)
    assert [each.action for each in found] == ["keep", "keep", "keep", "remove"]


def test_weeks_begin_on_monday_and_everything_is_utc() -> None:
    sunday, monday = datetime(2026, 11, 22, 23, 59, tzinfo=UTC), datetime(2026, 11, 23, 0, 1, tzinfo=UTC)
    keep = NOTHING.model_copy(update={"weekly": 2})
    found = decide([Snapshot("a", sunday), Snapshot("b", monday)], keep, NOW)
    assert [each.reasons[-1] for each in found] == ["weekly 1 of 2 (2026-W48)", "weekly 2 of 2 (2026-W47)"]


def test_a_failed_snapshot_never_takes_the_place_of_one_that_is_not() -> None:
    good, bad = snapshot(timedelta(hours=30)), snapshot(timedelta(hours=29), failed=True)
    decisions = decide([*hours(0), good, bad], NOTHING.model_copy(update={"daily": 2}), NOW)
    found = {each.snapshot.id: each for each in decisions}
    assert found[good.id].action == "keep"
    assert found[bad.id].reasons == ("its verification failed, and better ones are kept",)


def test_a_failed_snapshot_stays_where_its_bucket_has_no_other() -> None:
    bad = snapshot(timedelta(hours=29), failed=True)
    assert bad.id in kept(decide([*hours(0), bad], NOTHING.model_copy(update={"daily": 2}), NOW))


def test_the_last_that_did_not_fail_stays_behind_those_that_did() -> None:
    failed = [snapshot(timedelta(hours=age), failed=True) for age in (0, 1, 2)]
    found = decide([*failed, *hours(9)], NOTHING, NOW)
    assert found[-1].reasons == ("one of the last 1 that did not fail",)
    assert [each.action for each in found] == ["keep", "remove", "remove", "keep"]


def test_the_newest_that_a_drill_brought_back_stays_beside_the_newest_verified() -> None:
    drilled = [snapshot(timedelta(hours=age), verified=True, drilled=True) for age in (30, 31)]
    verified = snapshot(timedelta(hours=5), verified=True)
    found = decide([*hours(0), verified, *drilled], NOTHING, NOW)
    assert [each.action for each in found] == ["keep", "keep", "keep", "remove"]
    assert [each.reasons for each in found[1:3]] == [("the newest that is verified",), ("the newest that is drilled",)]


def test_what_cannot_be_judged_stays_and_takes_no_place() -> None:
    odd = [Snapshot("x", problem="garbage"), Snapshot("y"), snapshot(timedelta(hours=-1))]
    found = {each.snapshot.id: each for each in decide([*odd, *hours(0)], NOTHING, NOW)}
    assert [found[each.id].action for each in odd] == ["keep"] * 3
    assert found["x"].reasons == ("its manifest does not tell: garbage",)
    assert "future" in found[odd[2].id].reasons[0]
    assert found[hours(0)[0].id].reasons == ("last 1 of 1",)
    newest = newest_known([*odd, *hours(0, 1)], NOW)
    assert newest is not None
    assert newest.id == hours(0)[0].id


def test_a_hold_says_why() -> None:
    found = decide([*hours(0), snapshot(timedelta(days=900), held="before the migration")], NOTHING, NOW)
    assert found[-1].reasons == ("held: before the migration",)


# -- what shrank -----------------------------------------------------------------------------------------


def sizes(*found: int, **last: object) -> list[Snapshot]:
    made = [snapshot(timedelta(hours=len(found) - at), bytes=each) for at, each in enumerate(found)]
    return [*made[:-1], snapshot(timedelta(hours=1), **{"bytes": found[-1]} | last)]


def test_a_snapshot_that_lost_more_than_its_share_is_told_until_it_is_settled() -> None:
    assert "60% smaller" in shrunk(sizes(1000, 400), 0.5, NOW)
    assert "60% smaller" in shrunk(sizes(1000, 400, 400, 390), 0.5, NOW), "the next one does not end it"
    assert shrunk(sizes(1000, 500), 0.5, NOW) == ""
    assert shrunk(sizes(400, 1000), 0.5, NOW) == ""
    assert shrunk(sizes(1000, 400, settled=True), 0.5, NOW) == ""
    assert shrunk(sizes(1000, 400, 390, settled=True), 0.5, NOW) == ""


def test_a_loss_after_what_was_settled_is_told_again() -> None:
    first = sizes(1000, 400, settled=True)
    assert "75% smaller" in shrunk([*first, snapshot(timedelta(), bytes=100)], 0.5, NOW)


def test_what_tidy_removed_is_no_loss() -> None:
    assert shrunk(sizes(1000, 400, tidied=200), 0.5, NOW) == ""
    assert shrunk(sizes(1000, 400, tidied=50), 0.5, NOW) != ""


def test_snapshots_that_tell_nothing_are_not_compared() -> None:
    assert shrunk([*sizes(1000, 900), Snapshot("z", problem="garbage")], 0.5, NOW) == ""
    assert shrunk([], 0.5, NOW) == ""
    assert shrunk(sizes(0, 0), 0.5, NOW) == ""

"""Fresh, stale, broken or unknown, and the words for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import StoreUnreachable
from tasks.freshness import STATES, Freshness, judge, newest_known
from tasks.inventory import Backup, Proof, Stock
from tasks.names import stamp

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
AWAY = StoreUnreachable("no answer from s3.example").as_dict()
HOUR = 3600.0


def backup(hours: float, **told: object) -> Backup:
    """One that was taken so long ago."""
    taken = NOW - timedelta(hours=hours)
    return replace(Backup(stamp(taken), taken), **told)  # type: ignore[arg-type]


def stock(*backups: Backup, **told: object) -> Stock:
    return replace(Stock("main", backups, len(backups), seen=NOW), **told)  # type: ignore[arg-type]


def judged(found: Stock, *, hours: float = 2, scheduled: bool = True) -> Freshness:
    return judge(found, max_age=hours * HOUR, scheduled=scheduled, now=NOW)


def proof(*, ok: bool, hours: float = 1.0) -> Proof:
    return Proof(NOW - timedelta(hours=hours), ok, "20261123T110000Z", error="" if ok else "it lost keys")


@pytest.mark.parametrize(
    ("found", "state", "words"),
    [
        (stock(backup(0.2)), "fresh", "the newest backup is 12 min old, its objective 2 h"),
        (stock(backup(2)), "fresh", "the newest backup is 2 h old, its objective 2 h"),
        (stock(backup(3), backup(2.5)), "stale", "the newest backup is 2 h 30 min old, its objective 2 h"),
        (stock(), "broken", "there is no backup"),
        (stock(backup(1, problem="not JSON")), "broken", "no backup in the store can be relied on"),
        (Stock("main"), "unknown", "the store has not been read yet"),
        (Stock("main", problem=AWAY), "unknown", "the store does not answer: no answer from s3.example"),
    ],
)
def test_a_target_is_judged_by_the_newest_backup_that_the_store_has(found: Stock, state: str, words: str) -> None:
    assert judged(found) == Freshness(state, words)  # type: ignore[arg-type]


def test_where_backups_are_only_made_by_hand_a_stale_one_says_so() -> None:
    assert judged(stock(backup(3)), scheduled=False).words.endswith(", and none is scheduled")
    assert judged(stock(), scheduled=False) == Freshness("unknown", "there is no backup, and none is scheduled")
    assert judged(stock(backup(1)), scheduled=False).words == "the newest backup is 1 h old, its objective 2 h"


def test_a_manifest_that_cannot_be_read_does_not_count_as_a_backup() -> None:
    assert judged(stock(backup(3), backup(1, problem="not JSON"))).state == "stale"


def test_a_failed_drill_or_verification_breaks_even_a_fresh_target_until_one_succeeds() -> None:
    failed = judged(stock(backup(1, drilled=proof(ok=False))))
    words = "the last drill failed 1 h ago, of backup 20261123T110000Z: it lost keys"
    assert (failed.state, failed.words) == ("broken", words)
    again = judged(stock(backup(1, drilled=proof(ok=False)), backup(0.5, drilled=proof(ok=True, hours=0.2))))
    assert again.state == "fresh"
    assert judged(stock(backup(1, verified=proof(ok=False), drilled=proof(ok=True, hours=0)))).state == "broken"


def test_everything_that_is_wrong_is_told_the_worst_first() -> None:
    found = judged(stock(backup(3, verified=proof(ok=False)), problem=AWAY))
    assert found.state == "broken"
    assert found.words.startswith("the last verification failed")
    assert [each.partition(",")[0] for each in found.reasons] == [
        "the newest backup is 3 h old",
        "the store does not answer",
    ]


def test_a_store_that_is_away_leaves_fresh_unknown_and_stale_stale() -> None:
    states = [judged(stock(backup(hours), problem=AWAY)).state for hours in (1, 3)]
    assert states == ["unknown", "stale"]


def test_a_backup_from_the_future_does_not_count_and_is_told() -> None:
    ahead = backup(-5)
    alone = judged(stock(ahead))
    assert (alone.state, alone.reasons) == ("broken", (f"backup {ahead.id} is from the future; set the clocks right",))
    assert judged(stock(backup(1), ahead)).state == "unknown"
    assert judged(stock(backup(3), ahead)).state == "stale"
    assert judged(stock(backup(-0.01))).words == "the newest backup is 0 s old, its objective 2 h"


hours = st.floats(-10, 1000)
proofs = st.none() | st.builds(proof, ok=st.booleans(), hours=st.floats(0, 100))
stocks = st.builds(
    lambda backups, problem, seen: stock(*backups, problem=problem, seen=seen),
    st.lists(st.builds(lambda at, *told: backup(at, problem=told[0], verified=told[1], drilled=told[2]),
                       hours, st.sampled_from(["", "not JSON"]), proofs, proofs), max_size=4),
    st.sampled_from([None, AWAY]),
    st.sampled_from([None, NOW]),
)


@given(stocks, st.floats(0, 2000), st.booleans())
def test_whatever_the_store_holds_fresh_means_a_backup_within_the_objective_and_nothing_against_it(
    found: Stock, seconds: float, scheduled: bool
) -> None:
    result = judge(found, max_age=seconds, scheduled=scheduled, now=NOW)
    assert result.state in STATES
    assert result.words
    assert not result.words.endswith(".")
    newest = newest_known(found, NOW)
    if result.state == "fresh":
        assert newest is not None
        assert (NOW - newest.taken).total_seconds() <= seconds
        assert found.problem is None
        assert all(each is None or each.ok for each in (found.drilled, found.verified))
        assert result.reasons == ()


@given(stocks, st.floats(0, 2000), st.floats(0, 100))
def test_as_time_goes_by_a_target_never_becomes_fresh_by_itself(found: Stock, seconds: float, later: float) -> None:
    first = judge(found, max_age=seconds, scheduled=True, now=NOW)
    then = judge(found, max_age=seconds, scheduled=True, now=NOW + timedelta(hours=later))
    if first.state == "stale":
        assert then.state in ("stale", "broken", "fresh")
        ahead = [each for each in found.backups if each.taken > NOW]
        assert then.state != "fresh" or ahead

"""What is wrong, by findings and by how the last runs ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.alarms import Alarm
from tasks.errors import BucketMissing, RetentionFrozen
from tasks.freshness import Finding
from tasks.records import Record
from tasks.watch.symptoms import symptoms, unseen

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FRESH = Finding("age", "fresh", "the newest backup is 5 min old, its objective 2 h")


def run(state: str, minutes: float = 10, **told: Any) -> Record:
    """One that ended so long ago."""
    moment = (NOW - timedelta(minutes=minutes)).timestamp()
    times = {"created": moment} if state == "queued" else {"created": moment - 9, "ended": moment}
    return Record("7f3a11112222", state, times | told)


def found(task: str, *runs: Record) -> list[Alarm]:
    return symptoms([FRESH], {f"tasks.{task}": runs}, NOW)


def test_a_fresh_target_whose_runs_end_well_has_no_alarm() -> None:
    assert found("backup", run("succeeded"), run("failed", 70)) == []
    assert symptoms([FRESH], {}, NOW) == []


def test_a_finding_is_an_alarm_with_something_to_do() -> None:
    stale = Finding("age", "stale", "the newest backup is 3 h old, its objective 2 h")
    (alarm,) = symptoms([stale], {}, NOW)
    assert (alarm.kind, alarm.words, alarm.certain) == ("age", stale.words, False)
    assert "redkeep run backup" in alarm.hint


def test_a_server_that_nobody_wants_backed_up_wakes_nobody() -> None:
    assert symptoms([Finding("unwanted", "unknown", "there is no backup, and none is scheduled")], {}, NOW) == []


def test_a_run_that_failed_is_told_with_its_reason_and_hint() -> None:
    error = BucketMissing("no bucket named 'site'").as_dict()
    (alarm,) = found("backup", run("failed", error=error), run("succeeded", 70))
    assert alarm == Alarm(
        "backup", "backup failed, run 7f3a1111: no bucket named 'site'", error["hint"], certain=True
    )


def test_a_run_whose_worker_died_is_told_though_its_record_has_no_error() -> None:
    (alarm,) = found("tidy", Record("7f3a11112222", "died", {"started": (NOW - timedelta(hours=1)).timestamp()}))
    assert alarm.words == "tidy lost its worker, run 7f3a1111"
    assert alarm.hint == "See `redkeep show 7f3a1111`."


def test_frozen_retention_says_how_to_go_on() -> None:
    error = RetentionFrozen("retention of main is frozen: it shrank", hint="Say `redkeep acknowledge main`.").as_dict()
    (alarm,) = found("retention", run("failed", error=error))
    assert (alarm.kind, alarm.hint) == ("retention", "Say `redkeep acknowledge main`.")


@pytest.mark.parametrize("state", ["cancelled", "skipped", "running", "waiting"])
def test_a_run_that_says_nothing_leaves_the_one_before_it_to_speak(state: str) -> None:
    assert found("backup", run(state), run("succeeded", 70)) == []
    assert [each.kind for each in found("backup", run(state), run("failed", 70))] == ["backup"]


def test_put_off_once_is_what_a_guard_is_for_and_twice_is_an_alarm() -> None:
    assert found("rewrite", run("deferred"), run("succeeded")) == []
    assert [each.kind for each in found("rewrite", run("deferred"), run("cancelled"), run("deferred"))] == ["rewrite"]


def test_drift_is_told_where_enforce_only_reports() -> None:
    (alarm,) = found("enforce", run("succeeded", figures={"drift": ["save", "appendonly"]}))
    assert (alarm.kind, alarm.words) == ("drift", "somebody changed settings that were right: save, appendonly")
    assert found("enforce", run("succeeded", figures={"drift": []})) == []


def test_a_failed_drill_is_one_alarm_however_many_say_so() -> None:
    broken = Finding("drill", "broken", "the last drill failed")
    kinds = [each.kind for each in symptoms([broken], {"tasks.drill": [run("failed")]}, NOW)]
    assert kinds == ["drill", "drill"]  # of which the first counts
    assert symptoms([broken], {}, NOW)[0].certain


def test_a_run_that_nobody_takes_tells_of_the_worker_that_is_not_there() -> None:
    alarms = symptoms([FRESH], {"tasks.backup": [run("queued", 61), run("queued", 150)]}, NOW, worker="db1")
    (alarm,) = alarms
    assert alarm.words == "backup was sent 2 h ago and nobody has taken it from queue backup.db1"
    assert found("backup", run("queued", 59)) == []
    assert found("backup", run("queued", 61), run("running", 200)) == []


def test_while_a_target_is_paused_or_the_store_was_never_seen_nobody_can_say_that_something_is_over() -> None:
    runs = {"tasks.backup": [run("skipped")] * 20, "tasks.drill": [run("skipped"), run("failed")], "tasks.tidy": []}
    assert unseen(runs, store=True) == {"backup"}
    assert unseen({"tasks.enforce": [run("skipped")]}, store=True) == {"enforce", "drift"}
    assert unseen({}, store=False) == {"age", "missing", "verify", "drill", "clock"}


@pytest.mark.parametrize("error", [None, {}, {"message": None}, {"message": "x" * 100_000}])
def test_whatever_stands_in_a_record_an_alarm_stays_short(error: Any) -> None:
    (alarm,) = found("backup", run("failed", error=error))
    assert len(alarm.words) < 600
    assert alarm.hint

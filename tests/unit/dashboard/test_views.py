"""What the page says: of all targets in one glance, of one, and of a run, whatever its record holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tasks.alarms import Standing
from tasks.dashboard import views
from tasks.freshness import judge
from tasks.inventory import Backup, Proof, Stock
from tasks.records.record import Record, parsed
from tasks.status import Context, RunPage, TargetStatus

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TIDIED = [{"rule": "old", "removed": 1000, "bytes": 2**19}, {"rule": "older", "removed": 200, "bytes": 2**19}, 7]
TASKS = ["tasks.backup", "tasks.tidy", "tasks.verify"]


def backup(hours: float, **figures: Any) -> Backup:
    taken = NOON - timedelta(hours=hours)
    return Backup(f"{taken:%Y%m%dT%H%M%SZ}", taken, **{"bytes": 2**30, "stored_bytes": 2**29, "keys": 1000} | figures)


def target(name: str, *backups: Backup, **changes: Any) -> TargetStatus:
    stock = Stock(name, tuple(sorted(backups, key=lambda each: each.taken)), len(backups), NOON)
    freshness = judge(stock, max_age=7200, scheduled=True, now=NOON)
    told = {"url": "redis://db1", "max_age": 7200.0, "tidies": False} | changes
    return TargetStatus(name, True, freshness=freshness, stock=stock, **told)


def context(*targets: TargetStatus) -> Context:
    return Context(NOON, "0", targets, RunPage())


def record(**fields: Any) -> Record:
    return Record("r1", str(fields.pop("state", "succeeded")), {"task": "tasks.backup", "target": "main"} | fields)


def facts(shown: views.Card) -> dict[str, tuple[str, str]]:
    return {each.label: (each.value, each.note) for each in shown.facts}


# -- one glance ----------------------------------------------------------------------------------------------------


def test_when_all_are_fresh_the_data_is_safe_and_the_last_drill_stands_behind_it() -> None:
    drilled = Proof(NOON - timedelta(hours=3), True, "b", seconds=8.4)
    told = views.hero(context(target("main", backup(1, drilled=drilled)), target("other", backup(0.5))))
    assert (told.tone, told.headline) == ("good", "The data is safe")
    assert told.told.endswith("The last drill brought one back 3 h ago, in 8.4 s.")
    assert "No drill" in views.hero(context(target("main", backup(1)))).told


def test_one_that_is_stale_is_named_with_its_reason() -> None:
    told = views.hero(context(target("main", backup(1)), target("other", backup(3))))
    assert (told.tone, told.headline) == ("bad", "1 of 2 targets needs attention")
    assert told.concerns == (("other", "the newest backup is 3 h old, its objective 2 h"),)


def test_what_is_not_known_is_not_called_safe() -> None:
    nothing = Stock("main")
    freshness = judge(nothing, max_age=7200, scheduled=True, now=NOON)
    unseen = TargetStatus("main", True, "", 7200, False, freshness, nothing)
    assert views.hero(context(unseen)).headline == "It is not known whether the data is safe"


# -- a card --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "tone", "badge", "share"),
    [(0, "good", "Fresh", 0), (1, "good", "Fresh", 50), (1.8, "warn", "Nearly stale", 90), (3, "bad", "Stale", 100)],
)
def test_a_card_says_how_old_the_newest_is_against_its_objective(
    hours: float, tone: str, badge: str, share: int
) -> None:
    shown = views.card(target("main", backup(hours)), NOON, TASKS)
    assert (shown.tone, shown.badge, shown.share, shown.objective) == (tone, badge, share, "objective 2 h")


def test_a_card_tells_sizes_their_trend_proofs_and_what_comes_next() -> None:
    proof = Proof(NOON - timedelta(hours=4), True, "b", seconds=8.4)
    shown = views.card(
        target(
            "main",
            backup(1, verified=Proof(NOON, False, "b", error="three keys are gone"), drilled=proof),
            backup(24 * 7.5, stored_bytes=2**28),
            due={"tasks.backup": NOON + timedelta(minutes=7), "tasks.drill": NOON + timedelta(hours=16)},
            paused={"tasks.tidy": "moving house"},
            lease="backup of main, run r1",
            done={
                "tasks.tidy": record(figures={"rules": TIDIED, "dry_run": False}, ended=NOON.timestamp()),
                "tasks.rewrite": record(figures={"bytes_after": 2**21}, ended=NOON.timestamp()),
            },
        ),
        NOON,
        TASKS,
    )
    told = facts(shown)
    assert told["Snapshot"] == ("1.0 GiB", "512.0 MiB stored, +100.0% in 8 d")
    assert told["Verified"] == ("0 s ago", "failed: three keys are gone")
    assert told["Drilled"] == ("4 h ago", "came back in 8.4 s")
    assert told["Next"] == ("backup in 7 min", "drill in 16 h")
    assert told["Paused"] == ("tidy", "moving house")
    assert told["Lease"] == ("held", "backup of main, run r1")
    assert told["AOF"] == ("2.0 MiB", "rewritten 0 s ago")
    assert told["Tidied"] == ("0 s ago", "1,200 keys, 1.0 MiB freed")


def test_only_tasks_that_there_are_can_be_started_and_tidy_only_where_there_are_rules() -> None:
    assert list(views.card(target("main", backup(1)), NOON, TASKS).actions) == ["backup", "verify"]
    assert list(views.card(target("main", backup(1), tidies=True), NOON, TASKS).actions) == ["backup", "verify", "tidy"]


def test_a_dry_run_of_tidy_is_told_as_one() -> None:
    dry = {"tasks.tidy": record(figures={"rules": [{"matched": 3, "removed": 0, "bytes": 1024}], "dry_run": True})}
    told = facts(views.card(target("main", backup(1), done=dry), NOON, TASKS))
    assert told["Tidied"] == ("-", "3 keys, 1.0 KiB would go")


def test_an_alarm_that_the_judgement_does_not_say_stands_on_the_card_and_in_the_glance() -> None:
    now = NOON.timestamp()
    drift = Standing("drift", "save was changed by hand", "Say who did.", True, since=now - 3600, seen=now)
    stale = replace(drift, kind="age", words="the newest backup is 3 h old, its objective 2 h")
    fresh = target("main", backup(1), alarms=(drift,))
    assert views.card(fresh, NOON, TASKS).alarms == (
        ("Save was changed by hand.", "Say who did.", "since 2026-11-23 11:00:00Z, 1 h ago"),
    )
    glance = views.hero(context(fresh))
    assert (glance.tone, glance.headline) == ("warn", "The data is safe, and something wants a look")
    assert glance.concerns == (("main", "Save was changed by hand."),)
    assert views.card(target("main", backup(3), alarms=(stale,)), NOON, TASKS).alarms == ()


def test_without_the_control_redis_the_glance_says_what_it_does_not_know() -> None:
    away = replace(context(target("main", backup(1))), problem={"message": "gone"})
    assert views.hero(away).headline == "The backups are fresh; what runs is not known"


def test_a_run_at_work_is_a_bar_as_long_as_it_is_far() -> None:
    at_work = record(state="running", progress={"phase": "ship", "bytes": 3 * 2**20, "total": 4 * 2**20})
    waiting = record(state="waiting", error={"message": "the lease is held"})
    bars = views.card(target("main", running=(at_work, waiting)), NOON, TASKS).bars
    assert [(each.doing, each.percent) for each in bars] == [
        ("ship, 3.0 MiB of about 4.0 MiB", 75),
        ("the lease is held", None),
    ]


# -- a run ---------------------------------------------------------------------------------------------------------


def test_a_run_is_told_in_peoples_units() -> None:
    figures = {"bytes": 2**30, "fork_usec": 27_000, "recovery_seconds": 75, "keys": 168_601}
    figures |= {"guard": {"free_bytes": 1024}, "done": True, "note": None}
    shown = views.run_view(record(figures=figures, phases={"ship": 3, "fork": 1}), NOON)
    assert dict(shown.figures) == {
        "size": "1.0 GiB",
        "fork": "27 ms",
        "recovery": "1 min 15 s",
        "keys": "168,601",
        "guard: free": "1.0 KiB",
        "done": "yes",
        "note": "-",
    }
    assert shown.phases == (("ship", "3.0 s", "75%"), ("fork", "1.0 s", "25%"))


def test_a_run_that_succeeded_says_what_came_of_it_in_the_words_of_the_command_line() -> None:
    figures = {"bytes": 2**30, "source": "follow", "stored_bytes": 2**29, "ratio": 2.0, "keys": 1000}
    done = record(figures=figures)
    assert views.row(done, NOON).note == "1.0 GiB by follow, 512.0 MiB stored (2.0x), 1,000 keys"
    assert views.run_view(done, NOON).told == ("1.0 GiB by follow, 512.0 MiB stored (2.0x), 1,000 keys",)
    assert views.row(record(figures={"bytes": "?"}), NOON).note == ""  # another version's figures


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"figures": '{"bytes": NaN, "seconds": Infinity, "usec": -1e400}', "phases": '{"ship": Infinity, "fork": "x"}'},
        {"figures": '{"bytes": "many", "cow_bytes": [1, {"a": {}}]}', "progress": '{"total": 0, "bytes": 1}'},
        {"error": '{"message": 7}', "warnings": "[null, {}]", "attempts": '[7, {"host": null}]', "state": "running"},
        {"figures": "[[", "phases": "null", "error": "[]", "created": "nan", "started": "1e400", "ended": "-5"},
        {"state": "who knows", "task": "", "target": "\x00", "by": "x" * 100_000, "fence": "?"},
    ],
)
def test_whatever_a_record_holds_it_is_shown_somehow(fields: dict[str, str]) -> None:
    for alive in (None, "n"):
        run = parsed("r1", fields, alive)
        views.row(run, NOON)
        views.run_view(run, NOON)
        views.card(target("main", latest={"tasks.tidy": run}, done={"tasks.tidy": run}, running=(run,)), NOON, TASKS)

"""What beat sends, which slot it names, and where it goes."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from celery import Celery
from celery.beat import BeatLazyFunc
from celery.schedules import crontab
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rig.installations import settings_text

from tasks import schedule, settings
from tasks.names import slot_name
from tasks.settings import Settings

UTC_APP = Celery(set_as_current=False, config_source={"timezone": "UTC"})
DAYS = 3
"""How far the brute force walks back."""


def field(low: int, high: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """A crontab field as it is written, and the numbers it means."""
    every = frozenset(range(low, high + 1))
    number = st.integers(low, high)
    lists = st.lists(number, min_size=1, max_size=5).map(lambda some: (",".join(map(str, some)), frozenset(some)))
    ranges = st.tuples(number, number).map(sorted).map(
        lambda pair: (f"{pair[0]}-{pair[1]}", frozenset(range(pair[0], pair[1] + 1)))
    )
    steps = st.integers(1, high).map(lambda step: (f"*/{step}", frozenset(range(low, high + 1, step))))
    return st.one_of(st.just(("*", every)), lists, ranges, steps)


FIELDS = st.tuples(field(0, 59), field(0, 23), field(1, 31), field(1, 12), field(0, 6))
MOMENTS = st.datetimes(datetime(2024, 1, 4), datetime(2031, 1, 1), timezones=st.just(UTC))


def written(fields: tuple[tuple[str, frozenset[int]], ...]) -> str:
    _, _, (_, days), (_, months), _ = fields
    assume(min(days) <= min(31 if month in (1, 3, 5, 7, 8, 10, 12) else 29 if month == 2 else 30 for month in months))
    return " ".join(text for text, _ in fields)


@given(FIELDS, MOMENTS)
@hypothesis_settings(max_examples=150, deadline=None)
def test_the_last_due_minute_is_the_one_that_a_walk_back_minute_by_minute_finds(
    fields: tuple[tuple[str, frozenset[int]], ...], now: datetime
) -> None:
    line = written(fields)
    minutes, hours, days, months, weekdays = (meant for _, meant in fields)

    def is_due(moment: datetime) -> bool:
        return (
            moment.minute in minutes
            and moment.hour in hours
            and moment.day in days
            and moment.month in months
            and (moment.weekday() + 1) % 7 in weekdays
        )

    minute = now.replace(second=0, microsecond=0)
    walked = next((at for back in range(DAYS * 1440) if is_due(at := minute - timedelta(minutes=back))), None)
    found = next(schedule.due_times(crontab.from_string(line), now), None)
    if walked is not None:
        assert found == walked
    else:
        assert found is None or (is_due(found) and found <= minute - timedelta(days=DAYS))


@given(FIELDS, MOMENTS)
@hypothesis_settings(max_examples=100, deadline=None)
def test_celery_agrees_that_nothing_was_due_after_it_and_that_it_was_due_itself(
    fields: tuple[tuple[str, frozenset[int]], ...], now: datetime
) -> None:
    line = written(fields)
    found = next(schedule.due_times(crontab.from_string(line), now), None)
    if found is None:
        return
    beat_s = crontab.from_string(line)
    beat_s.app = UTC_APP
    beat_s.nowfun = lambda: now
    assert beat_s.is_due(found).is_due is False
    assert beat_s.is_due(found - timedelta(minutes=1)).is_due is True


def test_a_minute_is_due_from_its_first_moment() -> None:
    hourly = crontab.from_string("7 * * * *")
    due = datetime(2026, 11, 23, 11, 7, tzinfo=UTC)
    assert schedule.last_due(hourly, due) == due
    assert schedule.last_due(hourly, due - timedelta(microseconds=1)) == due - timedelta(hours=1)


def test_the_29th_of_february_is_found_years_back() -> None:
    found = schedule.last_due(crontab.from_string("0 0 29 2 *"), datetime(2027, 6, 1, tzinfo=UTC))
    assert found == datetime(2024, 2, 29, tzinfo=UTC)


def test_a_catch_up_run_has_the_slot_that_was_missed() -> None:
    nightly = crontab.from_string("33 3 * * *")
    back_at = datetime(2026, 11, 23, 11, 30, tzinfo=UTC)
    slot = slot_name("tasks.rewrite", "main", schedule.last_due(nightly, back_at))
    assert slot == "tasks.rewrite/main/2026-11-23T03:33Z"


def test_two_beats_a_minute_apart_name_the_same_slot_of_an_hourly_run() -> None:
    hourly = crontab.from_string("7 * * * *")
    moments = [datetime(2026, 11, 23, 11, 7, second, tzinfo=UTC) for second in (0, 1, 59)]
    assert len({schedule.last_due(hourly, each) for each in moments}) == 1


def test_due_times_go_back_without_a_gap_or_a_repetition() -> None:
    times = schedule.due_times(crontab.from_string("*/20 1,2 * * *"), datetime(2026, 3, 1, 2, tzinfo=UTC))
    found = [next(times) for _ in range(8)]
    assert all(later > earlier for later, earlier in pairwise(found))
    assert [f"{each:%d %H:%M}" for each in found[:5]] == ["01 02:00", "01 01:40", "01 01:20", "01 01:00", "28 02:40"]


@pytest.mark.parametrize(
    ("line", "seconds"),
    [
        ("* * * * *", 60),
        ("7 * * * *", 3600),
        ("*/15 * * * *", 900),
        ("33 3 * * *", 86_400),
        ("0 0 * * sun", 7 * 86_400),
        ("0,5 3 * * *", 300),
        ("0 0 1 1 *", 365 * 86_400),
    ],
)
def test_the_period_is_the_shortest_time_between_two_due_minutes(line: str, seconds: float) -> None:
    assert schedule._period(crontab.from_string(line)) == seconds


# -- beat's entries --------------------------------------------------------------------------------------

TARGETS = {
    "main": {"worker": "db1", "backup": {"schedule": "* * * * *"}},
    "far": {},
    "off": {"backup": {"schedule": "off"}},
}


def test_each_target_that_has_a_schedule_has_an_entry(make_settings: Callable[..., Settings]) -> None:
    entries = schedule.beat_schedule(make_settings(targets=TARGETS))
    both = {f"{task} {name}" for task in ("backup", "enforce", "retention", "rewrite") for name in ("far", "main")}
    assert set(entries) == both | {"enforce off", "rewrite off", "watch far", "watch main", "watch off"}
    entry = entries["backup main"]
    assert (entry["task"], entry["args"], entry["options"]) == ("tasks.backup", ["main"], {"expires": 60})
    assert entry["kwargs"]["by"] == "beat"


def test_verify_is_scheduled_where_it_is_asked_for_or_can_open_a_backup(make_settings: Callable[..., Settings]) -> None:
    asked = make_settings(targets={"main": {"verify": {"schedule": "1 2 * * *"}}, "other": {}})
    assert [schedule.schedules_of(asked, each).get("tasks.verify") for each in asked.target] == ["1 2 * * *", None]
    encryption = asked.encryption.model_copy(update={"identity_files": [Path("/identity.txt")]})
    able = asked.model_copy(update={"encryption": encryption})
    assert [schedule.schedules_of(able, each)["tasks.verify"] for each in able.target] == ["1 2 * * *", "13 4 * * *"]


def test_beats_entries_survive_its_schedule_file_and_name_the_slot_when_they_are_sent(
    make_settings: Callable[..., Settings],
) -> None:
    entries = pickle.loads(pickle.dumps(schedule.beat_schedule(make_settings(targets=TARGETS))))
    slot = entries["backup main"]["kwargs"]["slot"]
    assert isinstance(slot, BeatLazyFunc)
    minutely = crontab.from_string("* * * * *")
    before = schedule.last_due(minutely, datetime.now(UTC))
    sent = slot()
    after = schedule.last_due(minutely, datetime.now(UTC))
    assert sent in {slot_name("tasks.backup", "main", each) for each in (before, after)}


# -- queues ----------------------------------------------------------------------------------------------


@pytest.fixture
def current_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "redkeep.toml").write_text(settings_text("redis://127.0.0.1:1", targets=TARGETS))
    monkeypatch.setenv("REDKEEP_CONFIG", str(tmp_path / "redkeep.toml"))
    settings.current.cache_clear()
    yield
    settings.current.cache_clear()


def test_there_is_a_queue_for_each_kind_of_work_and_each_worker_beside_its_files(
    make_settings: Callable[..., Settings],
) -> None:
    found = schedule.queues(make_settings(targets=TARGETS))
    assert found == [
        "backup",
        "backup.db1",
        "drill",
        "housekeeping",
        "rewrite",
        "rewrite.db1",
        "tidy",
        "tidy.db1",
    ]


@pytest.mark.parametrize(
    ("task", "args", "kwargs", "queue"),
    [
        ("tasks.backup", ["main"], {}, "backup.db1"),
        ("tasks.backup", [], {"target": "main"}, "backup.db1"),
        ("tasks.backup", ["far"], {}, "backup"),
        ("tasks.backup", ["unknown"], {}, "backup"),
        ("tasks.backup", [], {}, "backup"),
        ("tasks.backup", None, None, "backup"),
        ("tasks.backup", [{"main": 1}], {}, "backup"),
        ("tasks.verify", ["main"], {}, "drill"),
        ("tasks.tidy", ["main"], {}, "tidy.db1"),
        ("tasks.retention", ["main"], {}, "housekeeping"),
    ],
)
@pytest.mark.usefixtures("current_settings")
def test_a_message_goes_to_the_queue_of_its_task_and_target(
    task: str, args: list[object] | None, kwargs: dict[str, object] | None, queue: str
) -> None:
    assert schedule.route(task, args, kwargs, {}) == {"queue": queue}


@pytest.mark.usefixtures("current_settings")
def test_what_is_not_ours_is_left_to_celery() -> None:
    assert schedule.route("celery.backend_cleanup", [], {}, {}) is None
    assert schedule.route("tasks.of_a_later_redkeep", ["main"], {}, {}) is None


@pytest.mark.usefixtures("current_settings")
def test_every_queue_that_a_message_may_go_to_exists() -> None:
    known = schedule.queues(settings.current())
    for task in schedule.QUEUES:
        for target in ("main", "far", "unknown"):
            assert schedule.queue_for(settings.current(), f"tasks.{task}", target) in known

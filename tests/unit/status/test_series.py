"""Lines for charts, and the trend."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tasks.inventory import Backup, Stock
from tasks.status.series import BUCKETS, SERIES, series, trend

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def stock(*backups: Backup) -> Stock:
    return Stock("main", backups, len(backups), NOON)


def sized(hours: float, stored: int | None) -> Backup:
    return Backup(str(hours), NOON - timedelta(hours=hours), stored_bytes=stored)


def test_a_line_has_the_backups_of_its_span_that_know_the_figure_oldest_first() -> None:
    found = stock(sized(1, 10), sized(2, None), sized(3, 30), sized(72, 99))
    points = series(found, "stored_bytes", NOON - timedelta(hours=48), NOON)
    assert [each.value for each in points] == [30, 10]


def test_of_very_many_backups_no_peak_is_lost() -> None:
    found = stock(*(sized(number / 20, 1000 if number == 333 else 10) for number in range(900)))
    points = series(found, "stored_bytes", NOON - timedelta(hours=48), NOON)
    assert len(points) <= BUCKETS + 1
    assert max(each.value for each in points) == 1000
    assert [each.at for each in points] == sorted(each.at for each in points)


def test_a_fork_is_told_in_milliseconds() -> None:
    backup = Backup("b", NOON, fork_usec=1500)
    assert SERIES["fork_ms"](backup) == 1.5


def test_the_trend_compares_with_a_week_before() -> None:
    found = trend(stock(sized(24 * 20, 10), sized(24 * 8, 50), sized(24 * 6, 80), sized(0, 100)))
    assert found is not None
    assert (found.share, found.since) == (1.0, NOON - timedelta(days=8))


def test_the_trend_of_a_young_shelf_compares_with_its_oldest_and_of_one_backup_there_is_none() -> None:
    found = trend(stock(sized(5, 50), sized(0, 100)))
    assert found is not None
    assert (found.share, found.since) == (1.0, NOON - timedelta(hours=5))
    assert trend(stock(sized(0.9, 50), sized(0, 100))) is None
    assert trend(stock(sized(0, 100))) is None
    assert trend(stock()) is None

"""What changes from backup to backup, for charts: from the manifests, which outlive every record. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks.inventory import Backup, Stock

__all__ = ["SERIES", "SPANS", "Point", "Trend", "series", "trend"]

SPANS = {"48h": timedelta(hours=48), "30d": timedelta(days=30)}
"""How far back a chart goes."""
WEEK, HOUR = timedelta(days=7), timedelta(hours=1)
"""How far back a trend looks, and the least that tells anything."""
BUCKETS = 240
"""Points of a line at most: more than a screen has room for. The largest of each bucket stays, so no peak is lost."""

SERIES: dict[str, Callable[[Backup], float | None]] = {
    "bytes": lambda backup: backup.bytes,
    "stored_bytes": lambda backup: backup.stored_bytes,
    "seconds": lambda backup: backup.seconds,
    "fork_ms": lambda backup: None if backup.fork_usec is None else backup.fork_usec / 1000,
    "cow_bytes": lambda backup: backup.cow_bytes,
}
"""Each line by its name in the JSON."""


@dataclass(frozen=True, slots=True)
class Point:
    at: datetime
    value: float


@dataclass(frozen=True)
class Trend:
    """How the stored size has changed: by which share, since which moment."""

    share: float
    since: datetime


def series(stock: Stock, name: str, since: datetime, until: datetime) -> list[Point]:
    """One line, oldest point first; backups that do not know the figure are left out."""
    figure = SERIES[name]
    found = ((each.taken, figure(each)) for each in stock.backups if since <= each.taken <= until)
    points = sorted((Point(at, float(value)) for at, value in found if value is not None), key=lambda each: each.at)
    return _thinned(points, since, until)


def _thinned(points: list[Point], since: datetime, until: datetime) -> list[Point]:
    if len(points) <= BUCKETS:
        return points
    width = (until - since) / BUCKETS
    largest: dict[int, Point] = {}
    for point in points:
        bucket = int((point.at - since) / width)
        if bucket not in largest or point.value > largest[bucket].value:
            largest[bucket] = point
    return list(largest.values())


def trend(stock: Stock) -> Trend | None:
    """The newest backup's stored size against the one that was the newest a week before; against the oldest, where
    they do not go back so far. None where there is nothing to compare, or not an hour between the two."""
    sized = [(each.taken, each.stored_bytes) for each in stock.backups if each.stored_bytes]
    if len(sized) < 2:
        return None
    sized.sort()
    newest_at, newest = sized[-1]
    before, was = _last_until(sized[:-1], newest_at - WEEK) or sized[0]
    if newest_at - before < HOUR:
        return None
    return Trend(newest / was - 1, before)


def _last_until(sized: Iterable[tuple[datetime, int]], moment: datetime) -> tuple[datetime, int] | None:
    return max((each for each in sized if each[0] <= moment), default=None)

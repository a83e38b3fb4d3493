"""Sizes, durations and moments as people read them; the same in the terminal and on the page."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["age", "clock", "seconds", "size", "span", "until"]


def size(count: float | None) -> str:
    """Bytes for people.

    >>> size(0), size(1536), size(79384672)
    ('0 B', '1.5 KiB', '75.7 MiB')
    """
    if count is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def seconds(count: float | None) -> str:
    """A duration for people.

    >>> seconds(0.042), seconds(4.2), seconds(75), seconds(7300), seconds(200000)
    ('42 ms', '4.2 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    if count is None:
        return "-"
    if count < 0.9995:
        return f"{count * 1000:.0f} ms"
    if count < 60:
        return f"{count:.1f} s"
    for large, small, unit in ((86_400, 3600, ("d", "h")), (3600, 60, ("h", "min")), (60, 1, ("min", "s"))):
        if count >= large:
            return f"{count // large:.0f} {unit[0]} {count % large // small:.0f} {unit[1]}"
    raise AssertionError(count)


def span(length: float) -> str:
    """A duration as a setting spells it, and one that is compared with it.

    >>> span(7200), span(7260), span(86_400), span(725), span(90), span(0.4)
    ('2 h', '2 h 1 min', '1 d', '12 min', '1 min 30 s', '0 s')
    """
    if length < 60:
        return f"{length:.0f} s"
    told = seconds(length // 60 * 60 if length >= 600 else length)
    return told.rpartition(" 0 ")[0] or told


def age(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago, for people; a dash for never.

    >>> age(datetime(2026, 11, 23, 9, 0, tzinfo=UTC), datetime(2026, 11, 23, 11, 59, tzinfo=UTC))
    '2 h ago'
    """
    if moment is None:
        return "-"
    past = max(((now or datetime.now(UTC)) - moment).total_seconds(), 0)
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if past >= length:
            return f"{past // length:.0f} {unit} ago"
    return f"{past:.0f} s ago"


def clock(moment: datetime | None) -> str:
    """A moment in UTC, for people; a dash for none."""
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def until(moment: datetime, now: datetime) -> str:
    """How soon, for people.

    >>> until(datetime(2026, 11, 23, 12, 7, tzinfo=UTC), datetime(2026, 11, 23, 11, 30, tzinfo=UTC))
    'in 37 min'
    """
    left = max((moment - now).total_seconds(), 0)
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if left >= length:
            return f"in {left // length:.0f} {unit}"
    return "in less than a minute"

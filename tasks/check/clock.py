"""Whether two clocks agree: slots, ages and leases are told by several."""

from __future__ import annotations

from datetime import UTC, datetime

from tasks.check.finding import Finding, Findings

__all__ = ["apart", "clock", "server_time"]

TOLERATED = 5.0
"""Seconds. A slot is a minute, the newest backup's age a matter of hours; some stores tell their time in whole
seconds."""


def apart(theirs: datetime, ours: datetime | None = None) -> float:
    """Seconds that the other clock is ahead of this host's."""
    return (theirs - (ours or datetime.now(UTC))).total_seconds()


def server_time(info: dict[str, str]) -> datetime | None:
    """What a server's clock said when it answered ``INFO server`` (6.2 and later)."""
    told = info.get("server_time_usec")
    return datetime.fromtimestamp(int(told) / 1e6, UTC) if told else None


def clock(what: str, whose: str, ahead: float) -> Findings:
    """A row where they do not agree.

    >>> next(clock("store", "the store's", -61.0)).told
    "the store's clock is 61 s behind this host's"
    >>> list(clock("store", "the store's", 1.0))
    []
    """
    if abs(ahead) > TOLERATED:
        told = f"{whose} clock is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this host's"
        remedy = "Let NTP set both clocks (timedatectl set-ntp true): slots, ages and leases are told by them."
        yield Finding(what, "warn", told, remedy)

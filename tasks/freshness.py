"""Whether a target's data is safe, told by what the store has of it. Pure, and gives reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tasks.inventory import Backup, Proof, Stock
from tasks.words import age, seconds

__all__ = ["STATES", "Freshness", "State", "judge", "newest_known"]

State = Literal["fresh", "stale", "broken", "unknown"]
STATES: tuple[State, ...] = ("fresh", "unknown", "stale", "broken")
"""From best to worst."""
SKEW = timedelta(minutes=5)
"""How far two hosts' clocks may be apart. A backup from further ahead says nothing: it would look fresh for as long as
it takes the clocks to get there."""


@dataclass(frozen=True)
class Freshness:
    """The judgement and why. `words` in lower case and without a stop; `reasons` are further ones, worst first."""

    state: State
    words: str
    reasons: tuple[str, ...] = ()


def judge(stock: Stock, *, max_age: float, scheduled: bool, now: datetime) -> Freshness:
    """How a target stands: the worst of all that is found.

    - broken: there is no backup that can be read, or the last verification or drill failed;
    - stale: the newest backup is older than its objective;
    - unknown: the store does not say, and what it said last is within the objective; or a clock is wrong.

    Args:
        max_age: the objective, in seconds: how old the newest backup may be. That old is still fresh.
        scheduled: backups are taken by schedule.
    """
    found = sorted(_found(stock, max_age, scheduled, now), key=lambda each: -STATES.index(each[0]))
    (state, words), *further = found
    return Freshness(state, words, tuple(words for each, words in further if each != "fresh"))


def newest_known(stock: Stock, now: datetime) -> Backup | None:
    """The newest backup that can be read and is not from the future."""
    known = (each for each in stock.backups if not each.problem and each.taken <= now + SKEW)
    return max(known, key=lambda each: each.taken, default=None)


def _found(stock: Stock, max_age: float, scheduled: bool, now: datetime) -> Iterator[tuple[State, str]]:
    yield from _proven("drill", stock.drilled, now)
    yield from _proven("verification", stock.verified, now)
    newest = newest_known(stock, now)
    if newest is not None:
        yield _aged(newest, max_age, scheduled, now)
    elif stock.problem is None and stock.seen is not None:
        yield _without(stock)
    if stock.problem is not None:
        last = f", this is as of {age(stock.seen, now)}" if stock.seen else ""
        yield "unknown", f"the store does not answer{last}: {stock.problem.get('message', '')}"
    elif stock.seen is None:
        yield "unknown", "the store has not been read yet"
    if stock.newest is not None and stock.newest is not newest:
        yield "unknown", f"backup {stock.newest.id} is from the future; set the clocks right"


def _proven(title: str, proof: Proof | None, now: datetime) -> Iterator[tuple[State, str]]:
    if proof is not None and not proof.ok:
        yield "broken", f"the last {title} failed {age(proof.at, now)}, of backup {proof.backup}: {proof.error}"


def _aged(newest: Backup, max_age: float, scheduled: bool, now: datetime) -> tuple[State, str]:
    old = max((now - newest.taken).total_seconds(), 0.0)
    words = f"the newest backup is {_span(old)} old, its objective {_span(max_age)}"
    if old <= max_age:
        return "fresh", words
    return "stale", words if scheduled else f"{words}, and none is scheduled"


def _without(stock: Stock) -> tuple[State, str]:
    if stock.count:
        return "broken", "no backup in the store can be relied on"
    return "broken", "there is no backup"


def _span(length: float) -> str:
    """
    >>> _span(7200), _span(7260), _span(86_400), _span(0.4)
    ('2 h', '2 h 1 min', '1 d', '0 s')
    """
    return seconds(length).rpartition(" 0 ")[0] or seconds(length) if length >= 60 else f"{length:.0f} s"

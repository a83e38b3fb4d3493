"""Whether a target's data is safe, told by what the store has of it. Pure, and gives reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from tasks.inventory import Backup, Proof, Stock
from tasks.words import age, span

__all__ = ["STATES", "Finding", "Freshness", "State", "findings", "judge", "newest_known"]

State = Literal["fresh", "stale", "broken", "unknown"]
STATES: tuple[State, ...] = ("fresh", "unknown", "stale", "broken")
"""From best to worst."""
SKEW = timedelta(minutes=5)
"""How far two hosts' clocks may be apart. A backup from further ahead says nothing: it would look fresh for as long as
it takes the clocks to get there."""


@dataclass(frozen=True)
class Finding:
    """One thing found. `kind` is what alarms are told apart by: age, missing, unwanted, verify, drill, store or
    clock."""

    kind: str
    state: State
    words: str


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
    - unknown: the store does not say, and what it said last is within the objective; or a clock is wrong; or nothing
      is wanted and nothing is there.

    Args:
        max_age: the objective, in seconds: how old the newest backup may be. That old is still fresh.
        scheduled: backups are taken by schedule.
    """
    first, *further = findings(stock, max_age=max_age, scheduled=scheduled, now=now)
    return Freshness(first.state, first.words, tuple(each.words for each in further if each.state != "fresh"))


def findings(stock: Stock, *, max_age: float, scheduled: bool, now: datetime) -> list[Finding]:
    """All that can be said of a target, the worst first; at least one."""
    return sorted(_found(stock, max_age, scheduled, now), key=lambda each: -STATES.index(each.state))


def newest_known(stock: Stock, now: datetime) -> Backup | None:
    """The newest backup that can be read and is not from the future."""
    known = (each for each in stock.backups if not each.problem and each.taken <= now + SKEW)
    return max(known, key=lambda each: each.taken, default=None)


def _found(stock: Stock, max_age: float, scheduled: bool, now: datetime) -> Iterator[Finding]:
    yield from _proven("drill", "drill", stock.drilled, now)
    yield from _proven("verify", "verification", stock.verified, now)
    newest = newest_known(stock, now)
    if newest is not None:
        yield _aged(newest, max_age, scheduled, now)
    elif stock.problem is None and stock.seen is not None:
        yield _without(stock, scheduled)
    if stock.problem is not None:
        last = f", this is as of {age(stock.seen, now)}" if stock.seen else ""
        yield Finding("store", "unknown", f"the store does not answer{last}: {stock.problem.get('message', '')}")
    elif stock.seen is None:
        yield Finding("store", "unknown", "the store has not been read yet")
    if stock.newest is not None and stock.newest is not newest:
        yield Finding("clock", "unknown", f"backup {stock.newest.id} is from the future; set the clocks right")


def _without(stock: Stock, scheduled: bool) -> Finding:
    if stock.count:
        return Finding("missing", "broken", "no backup in the store can be relied on")
    if not scheduled:  # a server that is only tidied: nobody wants to be woken for it
        return Finding("unwanted", "unknown", "there is no backup, and none is scheduled")
    return Finding("missing", "broken", "there is no backup")


def _proven(kind: str, title: str, proof: Proof | None, now: datetime) -> Iterator[Finding]:
    if proof is not None and not proof.ok:
        words = f"the last {title} failed {age(proof.at, now)}, of backup {proof.backup}: {proof.error}"
        yield Finding(kind, "broken", words)


def _aged(newest: Backup, max_age: float, scheduled: bool, now: datetime) -> Finding:
    old = max((now - newest.taken).total_seconds(), 0.0)
    words = f"the newest backup is {span(old)} old, its objective {span(max_age)}"
    if old <= max_age:
        return Finding("age", "fresh", words)
    return Finding("age", "stale", words if scheduled else f"{words}, and none is scheduled")

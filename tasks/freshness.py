"""Whether a target's data is safe, told by what the store has of it. Pure, and gives reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from tasks.inventory import Backup, Stock

__all__ = ["STATES", "Freshness", "State", "judge"]

State = Literal["fresh", "stale", "broken", "unknown"]
STATES: tuple[State, ...] = ("fresh", "unknown", "stale", "broken")
"""From best to worst."""


@dataclass(frozen=True)
class Freshness:
    """The judgement and why. `words` in lower case and without a stop; `reasons` are further ones, worst first."""

    state: State
    words: str
    reasons: tuple[str, ...] = ()


def judge(stock: Stock, *, max_age: float, scheduled: bool, now: datetime) -> Freshness:
    """How a target stands.

    Args:
        max_age: the objective, in seconds: how old the newest backup may be.
        scheduled: backups are taken by schedule.
    """
    newest = stock.newest
    if newest is None:
        return _without(stock)
    found = list(_found(stock, newest, max_age, now))
    if not found:
        return Freshness("fresh", "the newest backup is within its objective")
    found.sort(key=lambda each: -STATES.index(each[0]))
    state, words = found[0]
    return Freshness(state, words, tuple(words for _, words in found[1:]))


def _without(stock: Stock) -> Freshness:
    if stock.problem is not None:
        return Freshness("unknown", "the store does not answer", (str(stock.problem.get("message", "")),))
    if stock.seen is None:
        return Freshness("unknown", "the store has not been read yet")
    if stock.count:
        return Freshness("broken", "no manifest in the store can be read")
    return Freshness("broken", "there is no backup")


def _found(stock: Stock, newest: Backup, max_age: float, now: datetime) -> Iterator[tuple[State, str]]:
    for title, proof in (("drill", stock.drilled), ("verification", stock.verified)):
        if proof is not None and not proof.ok:
            yield "broken", f"the last {title} failed"
    if (now - newest.taken).total_seconds() > max_age:
        yield "stale", "the newest backup is older than its objective"
    elif stock.problem is not None:
        yield "unknown", "the store does not answer; this is as last known"

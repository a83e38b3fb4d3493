"""What is to be told now, by what stood before and what is found. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

__all__ = ["Alarm", "Change", "Event", "Standing", "course"]

Event = Literal["raised", "reminder", "recovered"]

CONFIRMED = 240.0
"""Seconds that a condition must have stood before it is told: with a look every five minutes, the second one that
finds it. So a store that was away for a moment, or a backup that came a minute late, wakes nobody."""
OVER = 540.0
"""Seconds without a told condition until it is over: two looks. One that comes and goes does not flap."""
REMINDED = 86_400.0
"""Seconds between two reminders."""


@dataclass(frozen=True)
class Alarm:
    """Something that is wrong with a target now.

    Attributes:
        kind: what alarms of a target are told apart by: ``age``, ``store``, ``backup``, ``drill`` ...
        words: lower case, without a stop. hint: what to do, a sentence; may be empty.
        certain: a fact that needs no second look, as that a run failed; nor does its end, that the next one succeeded.
    """

    kind: str
    words: str
    hint: str = ""
    certain: bool = False


@dataclass(frozen=True)
class Standing:
    """An alarm with its history; times are seconds since 1970.

    Attributes:
        since: when it was found first. seen: when last.
        told: when somebody was told last; None for not yet.
    """

    kind: str
    words: str
    hint: str
    certain: bool
    since: float
    seen: float
    told: float | None = None


@dataclass(frozen=True)
class Change:
    """One alarm's step.

    Attributes:
        before, after: None for nothing.
        event: what is to be told, None where nobody need know.
    """

    kind: str
    before: Standing | None
    after: Standing | None
    event: Event | None = None

    @property
    def subject(self) -> Standing:
        """What is told of."""
        found = self.after or self.before
        if found is None:
            raise AssertionError(self)
        return found

    @property
    def untold(self) -> Standing | None:
        """What stands where it could not be told: the same event is then due at the next look."""
        if self.event == "recovered" or self.after is None:
            return self.before
        return replace(self.after, told=self.before.told if self.before else None)


def course(
    standing: Mapping[str, Standing], found: Sequence[Alarm], now: float, *, unseen: Collection[str] = ()
) -> list[Change]:
    """Every alarm's next step; of several found of one kind the first counts.

    Args:
        unseen: kinds that could not be looked for: that they were not found does not mean that they are over.
    """
    here: dict[str, Alarm] = {}
    for alarm in found:
        here.setdefault(alarm.kind, alarm)
    absent = [each for kind, each in standing.items() if kind not in here and kind not in unseen]
    return [*(_there(standing.get(kind), alarm, now) for kind, alarm in here.items()), *_gone(absent, now)]


def _there(before: Standing | None, alarm: Alarm, now: float) -> Change:
    since = before.since if before else now
    told = before.told if before else None
    event: Event | None = None
    if told is None:
        event = "raised" if alarm.certain or now - since >= CONFIRMED else None
    elif now - told >= REMINDED:
        event = "reminder"
    after = Standing(alarm.kind, alarm.words, alarm.hint, alarm.certain, since, now, now if event else told)
    return Change(alarm.kind, before, after, event)


def _gone(absent: Iterable[Standing], now: float) -> Iterator[Change]:
    for before in absent:
        if before.told is None:  # nobody heard of it
            yield Change(before.kind, before, None)
        elif before.certain or now - before.seen >= OVER:
            yield Change(before.kind, before, None, "recovered")

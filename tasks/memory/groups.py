"""A sample of keys told apart by prefix, type, time to live and age: how many there are of each, and what they weigh.

Pure. Every figure is one of the whole keyspace, with its bounds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tasks.estimate import Estimate, exactly, share, total
from tasks.facts import NEVER, KeyFacts, shown
from tasks.memory.patterns import patterns
from tasks.sample import Sample

__all__ = ["Group", "biggest", "by", "estimated", "freq_of", "idle_of", "prefixes", "ttl_of"]

ROWS = 12
"""Rows of a section; what is left is one more."""
BIGGEST = 8
OTHER = "(all others)"
HOUR, DAY = 3600.0, 86_400.0


@dataclass(frozen=True)
class Group:
    """Keys that have something in common.

    Attributes:
        share: of all bytes, 0 to 1.
    """

    name: str
    keys: Estimate
    bytes: Estimate
    share: float


def estimated(sample: Sample, members: Sequence[float]) -> tuple[Estimate, Estimate]:
    """How many such keys there are and what they weigh, by the bytes of those that were drawn."""
    if sample.exact:
        return exactly(len(members)), exactly(sum(members))
    draws, population = len(sample.draws), sample.population
    return share(len(members), draws).times(population), total(members, draws, population)


def by(sample: Sample, names: Iterable[str], order: Sequence[str] = ()) -> list[Group]:
    """The draws grouped by their names; in that order, else the heaviest first."""
    members: dict[str, list[float]] = defaultdict(list)
    for name, facts in zip(names, sample.draws, strict=True):
        members[name].append(facts.bytes or 0)
    whole = sum(facts.bytes or 0 for facts in sample.draws) or 1
    found = [Group(name, *estimated(sample, sizes), share=sum(sizes) / whole) for name, sizes in members.items()]
    if order:
        return sorted(found, key=lambda group: order.index(group.name))
    return sorted(found, key=lambda group: (-group.share, group.name))


def prefixes(sample: Sample) -> list[Group]:
    """By what the keys begin with; the lightest of many share a row."""
    sizes = [float(facts.bytes or 0) for facts in sample.draws]
    names = patterns([shown(facts.key) for facts in sample.draws], sizes)
    found = by(sample, names)
    if len(found) <= ROWS + 1:
        return found
    first = {group.name for group in found[:ROWS]}
    folded = by(sample, [name if name in first else OTHER for name in names])
    return sorted(folded, key=lambda group: group.name == OTHER)


def biggest(sample: Sample) -> list[KeyFacts]:
    """The heaviest keys that were drawn."""
    once = {(facts.database, facts.key): facts for facts in sample.draws}
    return sorted(once.values(), key=lambda facts: -(facts.bytes or 0))[:BIGGEST]


# -- ages: each step's upper end, and what is beyond the last ------------------------------------------------

Scale = tuple[tuple[tuple[float, str], ...], str]
TTL: Scale = (
    ((HOUR, "within an hour"), (DAY, "within a day"), (7 * DAY, "within a week"), (30 * DAY, "within 30 days")),
    "later",
)
IDLE: Scale = (
    (
        (HOUR, "used within an hour"),
        (DAY, "within a day"),
        (7 * DAY, "within a week"),
        (30 * DAY, "within 30 days"),
        (90 * DAY, "within 90 days"),
    ),
    "longer ago",
)
FREQ: Scale = (((1, "0"), (5, "1 to 4"), (20, "5 to 19"), (100, "20 to 99")), "100 and more")
FOREVER, UNKNOWN = "never", "not known"


def ttl_of(sample: Sample) -> list[Group]:
    """By when they expire."""
    return _scaled(sample, TTL, lambda facts: facts.ttl)


def idle_of(sample: Sample) -> list[Group]:
    """By when they were last used."""
    return _scaled(sample, IDLE, lambda facts: facts.idle)


def freq_of(sample: Sample) -> list[Group]:
    """By the LFU counter."""
    return _scaled(sample, FREQ, lambda facts: facts.freq)


def _scaled(sample: Sample, scale: Scale, value: Callable[[KeyFacts], float | None]) -> list[Group]:
    steps, beyond = scale
    order = [*(name for _, name in steps), beyond, FOREVER, UNKNOWN]
    return by(sample, [_step(value(facts), scale) for facts in sample.draws], order)


def _step(value: float | None, scale: Scale) -> str:
    """
    >>> _step(59.0, TTL), _step(NEVER, TTL), _step(None, IDLE), _step(0, FREQ)
    ('within an hour', 'never', 'not known', '0')
    """
    steps, beyond = scale
    if value is None:
        return UNKNOWN
    if value == NEVER:
        return FOREVER
    return next((name for end, name in steps if value < end), beyond)

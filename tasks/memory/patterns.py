"""Keys alike: which globs describe a sample of keys best. Pure."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

__all__ = ["patterns"]

SEPARATORS = re.compile(r"([:/|.#@_-]+)")
NAMED = 0.02
"""The share of all draws, or of all their bytes, from which on a segment of a key is a name and not one id of many."""
STARS = re.compile(r"\*(?:[:/|.#@_-]+\*)+")
DEPTH = 12
"""Segments that are looked at; what comes after is one star. A UUID has five."""


def patterns(keys: Sequence[str], weights: Sequence[float]) -> list[str]:
    """The pattern that each key belongs to, as a rule's `match` would be spelled.

    Keys are cut at their separators. A segment that many keys share, or that weighs much, stands by its name; numbers
    and rare segments become a star, and what lies behind them is told apart again.

    >>> keys = ["user:1:cart", "user:2:cart", "user:2:name", "user:3:name", "lock"]
    >>> patterns(keys, [1, 1, 1, 1, 1])
    ['user:*:cart', 'user:*:cart', 'user:*:name', 'user:*:name', 'lock']
    >>> set(patterns([f"session:{at:06x}-{at:x}" for at in range(1000)], [1] * 1000))
    {'session:*'}
    """
    rows = {at: SEPARATORS.split(key, DEPTH) for at, key in enumerate(keys)}
    share = {at: max(1 / len(keys), weight / (sum(weights) or 1)) for at, weight in enumerate(weights)}
    found = dict.fromkeys(rows, "")
    _descend(rows, 0, "", share, found)
    return [STARS.sub("*", found[at]) for at in range(len(keys))]


def _descend(
    rows: Mapping[int, list[str]], depth: int, so_far: str, share: Mapping[int, float], found: dict[int, str]
) -> None:
    """Split these rows, alike up to `depth`, by their segment there."""
    weight: Counter[str] = Counter()
    for at, segments in rows.items():
        weight[segments[depth]] += share[at]  # type: ignore[assignment]  # a Counter adds up any number
    alike: dict[str, dict[int, list[str]]] = defaultdict(dict)
    for at, segments in rows.items():
        segment = segments[depth]
        named = weight[segment] >= NAMED and not segment.isdigit()
        alike["" if not segment else segment if named else "*"][at] = segments
    for name, group in alike.items():
        _go_on(group, depth + 1, so_far + name, share, found)


def _go_on(
    rows: Mapping[int, list[str]], depth: int, so_far: str, share: Mapping[int, float], found: dict[int, str]
) -> None:
    """Past the separator behind a segment; rows that have none end here."""
    behind: dict[str, dict[int, list[str]]] = defaultdict(dict)
    for at, segments in rows.items():
        if depth >= len(segments):
            found[at] = so_far
        else:
            behind[segments[depth]][at] = segments
    for separator, group in behind.items():
        _descend(group, depth + 1, so_far + separator, share, found)

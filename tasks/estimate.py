"""What a random sample says of the whole, and how far it may be off: 95 % bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Estimate", "share", "total"]

Z = 1.96
"""Standard errors to either side that hold 95 % of a normal distribution."""


@dataclass(frozen=True)
class Estimate:
    """A figure of the whole, and what it lies between in 95 of 100 samples. Nothing known: `high` is infinite."""

    value: float
    low: float
    high: float

    def times(self, factor: float) -> Estimate:
        """
        >>> Estimate(0.5, 0.25, 1.0).times(8)
        Estimate(value=4.0, low=2.0, high=8.0)
        """
        return Estimate(self.value * factor, self.low * factor, self.high * factor)

    def rounded(self) -> dict[str, Any]:
        """In whole numbers, as JSON can say it: an infinite bound is null."""
        return {
            "value": round(self.value),
            "low": math.floor(self.low),
            "high": math.ceil(self.high) if math.isfinite(self.high) else None,
        }


def exactly(value: float) -> Estimate:
    """What was counted, not estimated."""
    return Estimate(value, value, value)


def share(hits: int, draws: int) -> Estimate:
    """Which share of the whole is like the `hits` among so many draws: Wilson's score interval, which holds for few
    hits and for none as well (E. B. Wilson, JASA 22, 1927; draws with replacement).

    >>> share(500, 1000).times(1000).rounded()
    {'value': 500, 'low': 469, 'high': 531}
    >>> share(0, 1000).times(1000).rounded()
    {'value': 0, 'low': 0, 'high': 4}
    """
    if draws == 0:
        return Estimate(0.0, 0.0, 1.0)
    found = hits / draws
    square = Z * Z / draws
    middle = (found + square / 2) / (1 + square)
    reach = Z / (1 + square) * math.sqrt(found * (1 - found) / draws + square / (4 * draws))
    # At the ends the exact bound is the end itself, and rounding must not move it past the value.
    return Estimate(found, min(max(middle - reach, 0.0), found), max(min(middle + reach, 1.0), found))


def total(values: Sequence[float], draws: int, population: int) -> Estimate:
    """The sum over a population, from the values of those draws that count; the other draws count as 0.

    By the draws' own standard error. It does not know what it has not seen: a single key that is larger than all the
    drawn ones together is found by no sample. With nothing seen the upper bound is infinite.

    >>> total([100, 100], draws=4, population=1000).rounded()
    {'value': 50000, 'low': 0, 'high': 106581}
    """
    if not values or draws == 0:
        return Estimate(0.0, 0.0, math.inf)
    mean = sum(values) / draws
    squares = sum(each * each for each in values) / draws - mean * mean
    error = Z * math.sqrt(max(squares, 0.0) / max(draws - 1, 1))
    return Estimate(mean * population, max(mean - error, 0.0) * population, (mean + error) * population)

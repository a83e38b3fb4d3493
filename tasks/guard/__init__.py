"""The guard: may this server fork now? Pure; gives every reason, with its numbers, whatever the answer.

In reading order: ``sheet`` (all that is known), ``forecast`` (what the fork will cost), ``reasons`` (one condition
each), and here the verdict. Who collects the facts and obeys the verdict is :mod:`tasks.gate`.

A condition that passes by itself (a save under way, a machine that swaps, memory short just now) defers; one that needs
a person (a disk that can never hold it, a fork too slow for the site) refuses; what only deserves to be known warns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tasks.guard.forecast import Forecast, forecast
from tasks.guard.reasons import Level, Reason, reasons
from tasks.guard.sheet import Disk, Fork, Machine, Past, Replication, Sheet
from tasks.settings.targets import Guard

__all__ = ["Disk", "Forecast", "Fork", "Machine", "Past", "Reason", "Replication", "Sheet", "Verdict", "judge"]


@dataclass(frozen=True)
class Verdict:
    """The answer, what led to it, and what the fork was expected to cost."""

    reasons: tuple[Reason, ...]
    forecast: Forecast

    @property
    def word(self) -> Literal["go", "defer", "refuse"]:
        levels = {reason.level for reason in self.reasons}
        return "refuse" if "refuse" in levels else "defer" if "defer" in levels else "go"

    def of(self, level: Level) -> list[Reason]:
        """The reasons of one level."""
        return [reason for reason in self.reasons if reason.level == level]


def judge(sheet: Sheet, limits: Guard, fork: Fork) -> Verdict:
    """
    >>> judge(Sheet(used=10**6, rss=10**7, dataset=10**6, busy="a save"), Guard(), "save").word
    'defer'
    """
    expected = forecast(sheet, fork)
    return Verdict(tuple(reasons(sheet, limits, fork, expected)), expected)

"""What a context holds: plain facts, ready to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tasks.alarms import Standing
from tasks.freshness import STATES, Freshness, State
from tasks.inventory import Stock
from tasks.records import Record

__all__ = ["OPEN", "Context", "RunPage", "Tally", "TargetStatus", "Wanted"]

OPEN = ("queued", "waiting", "running")
"""States of a run that is still to end."""


@dataclass(frozen=True)
class Wanted:
    """Which runs are asked for; an empty string for any.

    Attributes:
        task: like ``tasks.backup``. outcome: a record's state.
        before: seconds since 1970: only runs that were sent before that; 0 for the newest.
    """

    target: str = ""
    task: str = ""
    outcome: str = ""
    before: float = 0.0
    limit: int = 25


@dataclass(frozen=True)
class RunPage:
    """Runs by the time they were sent, newest first.

    Attributes:
        older: `Wanted.before` for the next page; 0 where there are none.
        looked: how many runs were looked through; where an outcome is asked for it has a bound.
    """

    rows: tuple[Record, ...] = ()
    older: float = 0.0
    looked: int = 0


@dataclass(frozen=True)
class Tally:
    """How many attempts ended so since the records began, and the seconds they took altogether."""

    runs: int
    seconds: float


@dataclass(frozen=True)
class TargetStatus:
    """One target.

    Attributes:
        configured: False for one that the settings do not name (any more), while the store has backups of it.
        url: the server's, safe to show.
        max_age: the objective, seconds: how old the newest backup may be.
        tidies: it has rules for tidying.
        running: runs that are still to end, the newest of each task.
        latest: the newest run of each task, however it ended. done: the newest one that succeeded, where it is among
            the last few.
        lease, host_lease: in its own words who works on the target, and on its host, now; empty for nobody.
        paused: what the schedule must not start: reason by task, ``*`` for all.
        due: when the schedule starts each task next.
        alarms: what is wrong by the last look of tasks/watch, the longest first.
    """

    name: str
    configured: bool
    url: str
    max_age: float
    tidies: bool
    freshness: Freshness
    stock: Stock
    running: tuple[Record, ...] = ()
    latest: Mapping[str, Record] = field(default_factory=dict)
    done: Mapping[str, Record] = field(default_factory=dict)
    lease: str = ""
    host_lease: str = ""
    paused: Mapping[str, str] = field(default_factory=dict)
    due: Mapping[str, datetime] = field(default_factory=dict)
    alarms: tuple[Standing, ...] = ()


@dataclass(frozen=True)
class Context:
    """Everything at one moment.

    Attributes:
        targets: in the settings' order, then those that only the store knows.
        tally: by target, task and outcome; grows only, and begins anew where the control Redis does.
        problem: why the control Redis could not be asked, an error as a record has it; what came from it is as it was
            at `known`.
    """

    at: datetime
    version: str
    targets: tuple[TargetStatus, ...]
    runs: RunPage
    problem: dict[str, Any] | None = None
    known: datetime | None = None
    tally: Mapping[tuple[str, str, str], Tally] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """The worst of the configured targets'; and while the control Redis does not answer, not fresh."""
        states: list[State] = [each.freshness.state for each in self.targets if each.configured]
        return max([*states, "unknown"] if self.problem else states, key=STATES.index)

    def target(self, name: str) -> TargetStatus | None:
        return next((each for each in self.targets if each.name == name), None)

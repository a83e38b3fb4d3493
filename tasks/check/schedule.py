"""The schedule: what would meet on one server or host in the same minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import combinations, takewhile

from celery.schedules import crontab

from tasks import names
from tasks.check.finding import Finding, Findings
from tasks.schedule import due_times, schedules_of
from tasks.settings import Settings

__all__ = ["Due", "collisions", "schedule"]

WHAT = "schedule"
AHEAD = timedelta(days=8)
"""A week and a day: whatever a weekly crontab meets, it meets in there."""


@dataclass(frozen=True)
class Due:
    """A task of the schedule. ``line`` is its crontab, ``holds`` what a run of it holds alone."""

    task: str
    target: str
    line: str
    holds: frozenset[str]

    def __str__(self) -> str:
        return f"{self.task.removeprefix('tasks.')} {self.target}"

    def minutes(self, now: datetime) -> set[datetime]:
        """When it is due from now on."""
        times = due_times(crontab.from_string(self.line), now + AHEAD)
        return set(takewhile(lambda due: due > now, times))


def schedule(settings: Settings) -> Findings:
    """An advice, no failure: one of the two waits for the other."""
    due = list(_due(settings))
    met = list(collisions(due, datetime.now(UTC)))
    if not met:
        told = f"{len(due)} tasks; none that share a server or a host are due in the same minute"
        yield Finding(WHAT, "ok", told)
    for one, other, when in met:
        told = f"{one} and {other} are both due at {when:%a %H:%M} UTC: one waits for the other"
        table = "[target.{}]".format(other.task.removeprefix("tasks."))
        yield Finding(WHAT, "warn", told, f"Move one by some minutes: {table} schedule of {other.target}.")


def _due(settings: Settings) -> Iterator[Due]:
    for target in settings.target:
        for task, line in schedules_of(settings, target).items():
            yield Due(task, target.name, line, frozenset(names.resources_of(task, target.name, target.host)))


def collisions(due: list[Due], now: datetime) -> Iterator[tuple[Due, Due, datetime]]:
    """Pairs that hold the same thing alone and are due in the same minute, with the first such minute."""
    minutes = {each: each.minutes(now) for each in due}
    for one, other in combinations(due, 2):
        if one.holds & other.holds and (both := minutes[one] & minutes[other]):
            yield one, other, min(both)

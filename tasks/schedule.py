"""What beat sends and where it goes: built from redkeep.toml, named by slots.

The functions that beat calls at sending time are found by name in its schedule file, so they stay here under these
names.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice, pairwise
from typing import Any

from celery.beat import BeatLazyFunc
from celery.schedules import crontab

from tasks.names import QUEUES, queue_of, slot_name
from tasks.settings import Settings, Target, current
from tasks.settings.targets import Drill, Verify

__all__ = [
    "beat_schedule",
    "due_times",
    "last_due",
    "next_due",
    "queue_for",
    "queues",
    "route",
    "schedules_of",
    "slot_now",
]

RETENTION = "53 5 * * *"
"""When retention comes without a backup before it."""
WATCH = "*/5 * * * *"
"""When a target is looked at: its alarms and the heartbeat are late by no more than that."""
DAYS = 366 * 5
"""How far back a due time is looked for: a crontab for 29 February falls due every four years."""


def beat_schedule(settings: Settings) -> dict[str, dict[str, Any]]:
    """Beat's entries, one per target and task."""
    return {
        f"{task.removeprefix('tasks.')} {target.name}": _entry(task, target.name, line)
        for target in settings.target
        for task, line in schedules_of(settings, target).items()
    }


def schedules_of(settings: Settings, target: Target) -> dict[str, str]:
    """The crontab of each task that the schedule starts for this target.

    Retention follows each good backup by itself; once a day it comes by schedule as well, for what those left.
    Verify and drill are scheduled where they are asked for, and else where there is an identity to open a backup with.
    """
    verify = target.verify or (Verify() if settings.encryption.identity_files else None)
    drill = target.drill or (Drill() if settings.encryption.identity_files else None)
    wanted = {
        "tasks.backup": target.backup.schedule,
        "tasks.enforce": target.persistence.schedule,
        "tasks.rewrite": target.rewrite.schedule,
        "tasks.retention": "off" if target.backup.schedule == "off" else RETENTION,
        "tasks.tidy": target.tidy.schedule if target.tidy and target.tidy.rule else "off",
        "tasks.verify": verify.schedule if verify else "off",
        "tasks.drill": drill.schedule if drill else "off",
        "tasks.watch": WATCH,
    }
    return {task: line for task, line in wanted.items() if line != "off"}


def _entry(task: str, target: str, line: str) -> dict[str, Any]:
    schedule = crontab.from_string(line)
    return {
        "task": task,
        "schedule": schedule,
        "args": [target],
        "kwargs": {"slot": BeatLazyFunc(slot_now, task, target, line), "by": "beat"},
        # A message that nobody took before the next one is sent has nothing left to say.
        "options": {"expires": _period(schedule)},
    }


def slot_now(task: str, target: str, line: str) -> str:
    """The slot of what is being sent: the last minute that was due. So a catch-up after an outage has the slot that
    was missed, and two beats name the same one."""
    return slot_name(task, target, last_due(crontab.from_string(line), datetime.now(UTC)))


def last_due(schedule: crontab, now: datetime) -> datetime:
    """The newest minute, not after `now`, that the crontab names (UTC).

    >>> last_due(crontab.from_string("7 */2 * * *"), datetime(2026, 11, 23, 11, 30, tzinfo=UTC)).isoformat()
    '2026-11-23T10:07:00+00:00'
    """
    return next(due_times(schedule, now))


def due_times(schedule: crontab, now: datetime) -> Iterator[datetime]:
    """Every due minute, going back from `now`. Ends after five years."""
    now = now.astimezone(UTC)
    fields: Any = schedule  # celery's stubs leave out the sets that a crontab has parsed
    hours, minutes = sorted(fields.hour, reverse=True), sorted(fields.minute, reverse=True)
    for back in range(DAYS):
        day = (now - timedelta(days=back)).replace(hour=0, minute=0, second=0, microsecond=0)
        if not _names_day(fields, day):
            continue
        for hour in hours:
            for minute in minutes:
                due = day.replace(hour=hour, minute=minute)
                if due <= now:
                    yield due


def next_due(schedule: crontab, now: datetime) -> datetime | None:
    """The first minute after `now` that the crontab names (UTC); None where none comes within five years.

    >>> next_due(crontab.from_string("7 */2 * * *"), datetime(2026, 11, 23, 11, 30, tzinfo=UTC)).isoformat()
    '2026-11-23T12:07:00+00:00'
    """
    now = now.astimezone(UTC)
    fields: Any = schedule
    for ahead in range(DAYS):
        day = (now + timedelta(days=ahead)).replace(hour=0, minute=0, second=0, microsecond=0)
        if _names_day(fields, day):
            times = (day.replace(hour=hour, minute=minute) for hour in fields.hour for minute in fields.minute)
            due = min((each for each in times if each > now), default=None)
            if due is not None:
                return due
    return None


def _names_day(schedule: Any, day: datetime) -> bool:
    return (
        day.month in schedule.month_of_year
        and day.day in schedule.day_of_month
        and day.isoweekday() % 7 in schedule.day_of_week
    )


def _period(schedule: crontab) -> float:
    """Seconds between two due times, the shortest lately."""
    times = due_times(schedule, datetime.now(UTC))
    lately = islice(times, 50)
    gaps = [(later - earlier).total_seconds() for later, earlier in pairwise(lately)]
    return min(gaps, default=DAYS * 86_400.0)


def queues(settings: Settings) -> list[str]:
    """Every queue there is, those of workers beside their targets included."""
    tasks = ("tasks.backup", "tasks.tidy", "tasks.rewrite", "tasks.drill", "tasks.retention")
    near = {queue_of(task, target.worker) for target in settings.target for task in tasks}
    return sorted(near | {queue_of(task) for task in tasks})


def queue_for(settings: Settings, task: str, target: object) -> str:
    """The queue of a task on a target; a target that is not there has no worker of its own."""
    worker = next((each.worker for each in settings.target if each.name == target), None)
    return queue_of(task, worker)


def route(name: str, args: Any, kwargs: Any, options: Any, task: Any = None, **_: Any) -> dict[str, str] | None:
    """Celery's router: the queue of a message, by its task and its target."""
    if not name.startswith("tasks.") or name.removeprefix("tasks.") not in QUEUES:
        return None
    target = args[0] if args else (kwargs or {}).get("target")
    return {"queue": queue_for(current(), name, target)}

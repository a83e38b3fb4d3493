"""The processes: a worker for every queue to which the schedule sends, a beat, and all started with these settings."""

from __future__ import annotations

from collections.abc import Callable

from tasks import control as control_redis
from tasks import roster
from tasks.check.finding import Finding, Findings
from tasks.errors import ControlUnreachable
from tasks.schedule import queue_for, schedules_of
from tasks.settings import Settings, Target

__all__ = ["Serving", "workers"]

Serving = Callable[[], dict[str, list[str]]]
"""Asks the workers which queues they take from, by worker name; beat answers with none."""
WHAT = "workers"
BEAT = "celerybeat@"


def workers(settings: Settings, targets: list[Target], serving: Serving) -> Findings:
    try:
        said = _roster(settings)
    except ControlUnreachable:
        hint = ControlUnreachable.hint
        yield Finding(WHAT, "fail", "nobody can be asked without the control Redis", hint)
        return
    answers = serving()
    yield from _queues(settings, targets, answers)
    if any(name.startswith(BEAT) for name in answers):
        yield Finding(WHAT, "ok", "beat is alive")
    else:
        yield Finding(WHAT, "fail", "no beat answers: nothing is sent on schedule", "redkeep beat")
    yield from _agreement(settings, {name: said.get(name) for name in sorted(answers)})


def _roster(settings: Settings) -> dict[str, roster.Entry]:
    client = control_redis.connect(settings.control)
    try:
        return roster.entries(client, settings.control.namespace)
    finally:
        client.close()


def _queues(settings: Settings, targets: list[Target], answers: dict[str, list[str]]) -> Findings:
    """Without the first kind nothing is backed up; without the others what is sent there expires."""
    for_backups = {queue_for(settings, "tasks.backup", each.name) for each in targets}
    sent_to = {queue_for(settings, task, each.name) for each in targets for task in schedules_of(settings, each)}
    for queue in sorted(for_backups) + sorted(sent_to - for_backups):
        by = sorted(worker for worker, queues in answers.items() if queue in queues)
        if by:
            yield Finding(WHAT, "ok", f"queue {queue} is served by {', '.join(by)}")
        elif queue in for_backups:
            yield Finding(WHAT, "fail", f"no worker serves queue {queue}", f"redkeep worker {queue}")
        else:
            told = f"no worker serves queue {queue}, to which the schedule sends"
            yield Finding(WHAT, "warn", told, f"redkeep worker {queue}")


def _agreement(settings: Settings, said: dict[str, roster.Entry | None]) -> Findings:
    """Whether all who answer were started with what this redkeep.toml says now."""
    ours = roster.digests(settings)
    differing = [finding for name, entry in said.items() if (finding := _difference(settings, ours, name, entry))]
    yield from differing
    if said and not differing:
        yield Finding(WHAT, "ok", f"all {len(said)} were started with these settings")


def _difference(settings: Settings, ours: dict[str, str], name: str, entry: roster.Entry | None) -> Finding | None:
    if entry is None:
        told = f"{name} has not said with which settings it was started"
    elif entry.visibility != settings.control.visibility:
        timeouts = f"{entry.visibility:g} s, here {settings.control.visibility:g} s"
        told = f"{name} has another visibility timeout ({timeouts})"
        return Finding(WHAT, "fail", told, "Restart it with this redkeep.toml: else long runs are delivered twice.")
    elif different := roster.differing(entry, ours):
        told = f"{name} was started with other settings: {', '.join(different)}"
    else:
        return None
    return Finding(WHAT, "warn", told, "Restart it with this redkeep.toml; workers before beat.")

"""One look at a target, what is lost sent once more, and everybody told."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from tasks.control import connect
from tasks.errors import AlertUndelivered
from tasks.job import Job
from tasks.settings import Settings, Target
from tasks.watch.duties import beat_heart, tell_alarms
from tasks.watch.look import look
from tasks.watch.lost import Lost, lost

__all__ = ["watch"]


def watch(
    job: Job, settings: Settings, target: Target, *, send: Callable[[str, Lost], None], now: datetime | None = None
) -> None:
    """Look, send once more the slots that nobody committed, and tell.

    Everybody is told who can be: a webhook that is away does not stop the heartbeat.

    Args:
        send: sends a run of that target for that slot; it does not raise.

    Raises:
        AlertUndelivered: somebody could not be told; the next look tries again.
    """
    client = connect(settings.control)
    undelivered: list[AlertUndelivered] = []
    try:
        with job.phase("look"):
            seen = look(client, settings, target, now or datetime.now(UTC))
        job.figures |= {"state": seen.findings[0].state, "words": seen.findings[0].words}
        gone = list(lost(target.name, seen.schedules, seen.runs, seen.now, quiet=2 * settings.control.visibility))
        for each in gone:
            send(target.name, each)
        job.figures["again"] = [each.slot for each in gone]
        with job.phase("tell"):
            for duty in (tell_alarms, beat_heart):
                try:
                    duty(job, client, settings, target, seen)
                except AlertUndelivered as error:
                    undelivered.append(error)
    finally:
        client.close()
    for problem in undelivered:
        job.warn(str(problem))
    if undelivered:
        raise undelivered[0]

"""Everybody told: who hears of alarms, and who misses the heartbeat when it stops."""

from __future__ import annotations

import logging
from datetime import timedelta

from tasks import alerts
from tasks.alarms import Alarms, course
from tasks.control import Client, speaking
from tasks.freshness import newest_known
from tasks.job import Job
from tasks.names import Keys
from tasks.settings import Settings, Target
from tasks.watch.look import Seen
from tasks.watch.message import lines, message
from tasks.watch.symptoms import ended, symptoms, unseen

__all__ = ["beat_heart", "tell_alarms"]

log = logging.getLogger(__name__)

KEPT = 90 * 86_400
"""Seconds for which is known what the heartbeat said last."""


def tell_alarms(job: Job, client: Client, settings: Settings, target: Target, seen: Seen) -> None:
    """Tell what is new, due again or over, in one message; then note that it was told.

    In this order an alarm is told twice if we die in between, and never not at all. Without a webhook the log is who
    is told.

    Raises:
        AlertUndelivered: it stays untold, and the next look tells it.
    """
    alarms = Alarms(client, Keys(settings.control.namespace), target.name)
    found = symptoms(seen.findings, seen.runs, seen.now, worker=target.worker)
    unknown = unseen(seen.runs, store=seen.stock.seen is not None)
    changes = course(alarms.read(), found, seen.now.timestamp(), unseen=unknown)
    loud = [each for each in changes if each.event]
    job.figures["alarms"] = [each.kind for each in changes if each.after]
    job.figures["told"] = [f"{each.event} {each.kind}" for each in loud]
    told = False
    try:
        if loud:
            for line in lines(target.name, loud):
                log.warning("%s", line)
            job.prove()  # whoever slept through its lease leaves it to the next one
            if settings.alerts.webhook_url:
                alerts.post(settings.alerts.webhook_url, message(target.name, seen.findings[0].state, loud))
        told = True
    finally:
        for each in changes:
            alarms.settle(each, told=told)


def beat_heart(job: Job, client: Client, settings: Settings, target: Target, seen: Seen) -> None:
    """One beat for each newest backup that the store has and that is within its objective, and a bad one for each run
    that was the last and failed. What was said is noted after it was said; lost with the control Redis, it is said
    once more, and is still true.

    Raises:
        AlertUndelivered: the next look says it.
    """
    url = settings.alerts.heartbeat_url
    if url is None:
        return
    key = Keys(settings.control.namespace).heartbeat(target.name)
    with speaking(client):
        said = client.hgetall(key)
    newest = newest_known(seen.stock, seen.now)
    if newest and newest.id != said.get("good") and seen.now - newest.taken <= timedelta(seconds=target.backup.max_age):
        alerts.beat(url, target.name, good=True)
        _note(job, client, key, "good", newest.id)
    last = next(iter(ended(seen.runs.get("tasks.backup", ()))), None)
    if last and last.state in ("failed", "died") and last.id != said.get("bad"):
        alerts.beat(url, target.name, good=False)
        _note(job, client, key, "bad", last.id)


def _note(job: Job, client: Client, key: str, name: str, value: str) -> None:
    job.figures["beats"] = [*job.figures.get("beats", []), f"{name} {value}"]
    with speaking(client), client.pipeline() as pipe:
        pipe.hset(key, name, value)
        pipe.expire(key, KEPT)
        pipe.execute()

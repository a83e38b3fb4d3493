"""What Celery tells us of runs and processes; imported for what it connects.

A run's record is written before its message is sent, and ended where nobody else can: its worker was killed, or its
message expired.
"""

from __future__ import annotations

import logging
from typing import Any

from celery import signals
from celery.beat import beat_nodename  # type: ignore[attr-defined] # celery's stubs are older than it

from tasks import control, job, logs, niceness, roster
from tasks.errors import ControlUnreachable, RedkeepError, RunCancelled, Unexpected, WorkerLost
from tasks.records import Records
from tasks.settings import current

__all__: list[str] = []

# -- runs --------------------------------------------------------------------------------------------------


@signals.before_task_publish.connect
def _note_sending(sender: str = "", headers: dict[str, Any] | None = None, body: Any = None, **_: Any) -> None:
    """Whoever sends a run (beat, Flower, a terminal) writes its record first, so that none can vanish unseen."""
    if headers is None or not sender.startswith("tasks."):
        return
    args, kwargs, _embedded = body
    target = str(args[0] if args else kwargs.get("target", ""))
    by = str(kwargs.get("by") or "manual")
    client = control.connect(current().control)
    try:
        records = Records(client, current().control)
        records.queue(headers["id"], task=sender, target=target, slot=str(kwargs.get("slot") or ""), by=by)
    finally:
        client.close()


@signals.task_failure.connect
def _note_loss(task_id: str = "", exception: BaseException | None = None, **_: Any) -> None:
    """A pool child that was killed cannot end its record; the parent does. Everything else the frame has recorded."""
    if isinstance(exception, (RedkeepError, job.Again)):
        return
    if isinstance(exception, TypeError):  # arguments that no task takes: it never began
        told = Unexpected("the message cannot be understood", detail=str(exception))
        _close(task_id, "failed", told, when=("queued",))
    _close(task_id, "died", WorkerLost("the worker process ended in the middle"), when=("running",))


@signals.task_revoked.connect
def _note_revocation(request: Any = None, expired: bool = False, **_: Any) -> None:
    """A message that expired or was revoked before anybody began."""
    state, told = ("deferred", "nobody took it before the next was due") if expired else ("cancelled", "it was revoked")
    _close(request.id, state, RunCancelled(told), when=("queued", "waiting"))


def _close(run_id: str, state: str, error: RedkeepError, when: tuple[str, ...]) -> None:
    client = control.connect(current().control)
    try:
        Records(client, current().control).close(run_id, state, error.as_dict(), when=when)
    finally:
        client.close()


# -- processes ---------------------------------------------------------------------------------------------


@signals.worker_process_init.connect
def _stand_back(**_: Any) -> None:
    niceness.stand_back()


@signals.worker_ready.connect
def _enlist_worker(sender: Any = None, **_: Any) -> None:
    """Each time it has connected: the control Redis may have lost what it was told before."""
    _enlist(str(sender.hostname))


@signals.beat_init.connect
def _enlist_beat(sender: Any = None, **_: Any) -> None:
    _enlist(beat_nodename(sender.hostname))


def _enlist(name: str) -> None:
    try:
        roster.enlist(current(), name)
    except ControlUnreachable as error:
        logging.getLogger(__name__).warning("%s could not say with which settings it runs: %s", name, error)


@signals.after_setup_logger.connect
@signals.after_setup_task_logger.connect
def _dress(logger: logging.Logger | None = None, **_: Any) -> None:
    if logger is not None:
        logs.dress(logger, current().log.format)

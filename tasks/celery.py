"""The Celery app and its tasks, each one thin line: unpack, delegate, return. What a run is stands in job.py.

``celery -A tasks worker -Q backup`` finds the app here from a checkout; ``redkeep worker backup`` from anywhere.
Task names are explicit, so that moving code strands no message; keyword arguments that a task does not know are
ignored, so that workers may be older than what sends to them.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from celery import Celery, Task, signals
from celery.exceptions import Ignore

from tasks import backup as backup_verb
from tasks import broker, control, job, logs
from tasks.errors import RedkeepError, RunCancelled, Unexpected, UnknownTarget, WorkerLost
from tasks.records import Records
from tasks.settings import Settings, Target, current, target_of

__all__ = ["app"]

Verb = Callable[[job.Job, Settings, Target], None]


def _celeryconfig() -> ModuleType:
    """celeryconfig.py from beside the package. A settings error is one line, not a traceback."""
    path = Path(__file__).resolve().parent.parent / "celeryconfig.py"
    spec = importlib.util.spec_from_file_location("redkeep_celeryconfig", path)
    if spec is None or spec.loader is None:
        raise Unexpected(f"no {path}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except RedkeepError as error:
        sys.exit(f"redkeep: {error}\n{error.hint}")
    return module


app = Celery("redkeep")
app.config_from_object(_celeryconfig())


VERBS: dict[str, Verb] = {"tasks.backup": backup_verb.backup}
"""What each task does; also for a process without a broker."""


# -- tasks -------------------------------------------------------------------------------------------------


@app.task(bind=True, name="tasks.backup")
def backup(task: Task[Any, Any], /, target: str, *, slot: str | None = None, by: str = "", **_: Any) -> dict[str, Any]:
    """Take one backup of a target."""
    return _conduct(task, target, slot, by)


def _conduct(task: Task[Any, Any], target_name: str, slot: str | None, by: str) -> dict[str, Any]:
    settings = current()
    properties: dict[str, Any] = task.request.properties or {}
    ticket = job.Ticket(
        run_id=str(task.request.id),
        task=task.name,
        target=str(target_name),
        slot=slot,
        by=by or "manual",
        keep_message=broker.keep_message(settings.control, properties["delivery_tag"]),
    )
    with logs.about(run=ticket.run_id, task=ticket.task, target=ticket.target):
        try:
            return conduct(VERBS[ticket.task], ticket, settings)
        except job.Again as again:
            raise task.retry(countdown=again.delay, max_retries=None, exc=again) from None
        except RunCancelled:
            task.update_state(state="REVOKED")
            raise Ignore from None


def conduct(verb: Verb, ticket: job.Ticket, settings: Settings) -> dict[str, Any]:
    """Run a verb on the ticket's target inside the frame; also for a process without a broker.

    Raises as :func:`tasks.job.run`.
    """
    try:
        target = target_of(settings, ticket.target)
    except UnknownTarget as unknown:
        return job.run(partial(_refuse, unknown), ticket, settings, None)
    return job.run(lambda running: verb(running, settings, target), ticket, settings, target)


def _refuse(error: RedkeepError, _: job.Job) -> None:
    raise error


# -- what Celery tells us of runs ------------------------------------------------------------------------


@signals.before_task_publish.connect
def _note_sending(sender: str = "", headers: dict[str, Any] | None = None, body: Any = None, **_: Any) -> None:
    """Whoever sends a run (beat, Flower, a terminal) writes its record first, so that none can vanish unseen."""
    if headers is None or not sender.startswith("tasks."):
        return
    args, kwargs, _embedded = body
    target = str(args[0]) if args else ""
    by = str(kwargs.get("by") or "manual")
    client = control.connect(current().control)
    try:
        records = Records(client, current().control)
        records.queue(headers["id"], task=sender, target=target, slot=kwargs.get("slot"), by=by)
    finally:
        client.close()


@signals.task_failure.connect
def _note_loss(task_id: str = "", exception: BaseException | None = None, **_: Any) -> None:
    """A pool child that was killed cannot end its record; the parent does. Everything else the frame has recorded."""
    if isinstance(exception, (RedkeepError, job.Again)):
        return
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


@signals.after_setup_logger.connect
@signals.after_setup_task_logger.connect
def _dress(logger: logging.Logger | None = None, **_: Any) -> None:
    if logger is not None:
        logs.dress(logger, current().log.format)

"""The Celery app and its tasks, each one thin line: unpack, delegate, return. What a run is stands in job.py.

``celery -A tasks worker -Q backup`` finds the app here from a checkout; ``redkeep worker backup`` from anywhere.
Task names are explicit, so that moving code strands no message; keyword arguments that a task does not know are
ignored, so that workers may be older than what sends to them.
"""

from __future__ import annotations

import importlib.util
import logging
import sys
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from celery import Celery, Task
from celery.exceptions import Ignore
from kombu.exceptions import OperationalError

from tasks import backup as backup_verb
from tasks import broker, job, logs, names
from tasks import drill as drill_verb
from tasks import enforce as enforce_verb
from tasks import retention as retention_verb
from tasks import rewrite as rewrite_verb
from tasks import signals as _signals  # noqa: F401  what it connects keeps the records
from tasks import tidy as tidy_verb
from tasks import untidy as untidy_verb
from tasks import verify as verify_verb
from tasks import watch as watch_verb
from tasks.errors import ControlUnreachable, MessageInvalid, RedkeepError, RunCancelled, Unexpected, UnknownTarget
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


class _Run(Task):  # type: ignore[type-arg]
    """A run that fails has its record and one line in the log; only what nobody foresaw is worth a traceback there."""

    throws = (RedkeepError,)


app = Celery("redkeep", task_cls=_Run)
app.config_from_object(_celeryconfig())


def _send_again(target: str, lost: watch_verb.Lost) -> None:
    """Send a slot that nobody committed. However many are looking, it is one run: its id is made of the slot."""
    kwargs = {"slot": lost.slot, "by": "watch"}
    try:
        app.send_task(lost.task, [target], kwargs, task_id=lost.run_id, expires=lost.expires, retry=False)
    except (OperationalError, ControlUnreachable) as error:
        logging.getLogger(__name__).warning("slot %s could not be sent again: %s", lost.slot, error)


VERBS: dict[str, Verb] = {
    "tasks.backup": backup_verb.backup,
    "tasks.drill": drill_verb.drill,
    "tasks.enforce": enforce_verb.enforce,
    "tasks.retention": retention_verb.retention,
    "tasks.rewrite": rewrite_verb.rewrite,
    "tasks.tidy": tidy_verb.tidy,
    "tasks.untidy": untidy_verb.untidy,
    "tasks.verify": verify_verb.verify,
    "tasks.watch": partial(watch_verb.watch, send=_send_again),
}
"""What each task does; also for a process without a broker."""


RETENTION_EXPIRES = 86_400
"""Seconds after which the schedule's own retention has been at it."""


AHEAD = timedelta(days=1)
"""How far beat's clock may be ahead of a worker's. `redkeep check` warns of much less."""


# -- tasks -------------------------------------------------------------------------------------------------


@app.task(bind=True, name="tasks.backup")
def backup(task: Task[Any, Any], /, target: str, *, slot: str | None = None, by: str = "", **_: Any) -> dict[str, Any]:
    """Take one backup of a target, and have retention look at what there is then."""
    done = _conduct(task, target, slot, by)
    if done["outcome"] == "succeeded":
        _have_retention(done)
    return done


@app.task(bind=True, name="tasks.verify")
def verify(task: Task[Any, Any], /, target: str, *, slot: str | None = None, by: str = "", **_: Any) -> dict[str, Any]:
    """Verify a target's newest backup."""
    return _conduct(task, target, slot, by)


@app.task(bind=True, name="tasks.drill")
def drill(
    task: Task[Any, Any], /, target: str, *, slot: str | None = None, by: str = "", backup: str = "latest", **_: Any
) -> dict[str, Any]:
    """Bring a target's newest backup back into a throwaway server, and judge it."""
    return _conduct(task, target, slot, by, backup=str(backup))


@app.task(bind=True, name="tasks.enforce")
def enforce(
    task: Task[Any, Any], /, target: str, *, slot: str | None = None, by: str = "", dry_run: bool = False, **_: Any
) -> dict[str, Any]:
    """Keep a target's persistence settings what they must be."""
    return _conduct(task, target, slot, by, dry_run=dry_run)


@app.task(bind=True, name="tasks.rewrite")
def rewrite(task: Task[Any, Any], /, target: str, *, slot: str | None = None, by: str = "", **_: Any) -> dict[str, Any]:
    """Have a target rewrite its AOF."""
    return _conduct(task, target, slot, by)


@app.task(bind=True, name="tasks.retention")
def retention(
    task: Task[Any, Any], /, target: str, *, slot: str | None = None, by: str = "", dry_run: bool = False, **_: Any
) -> dict[str, Any]:
    """Remove the backups of a target that its policy lets go."""
    return _conduct(task, target, slot, by, dry_run=dry_run)


@app.task(bind=True, name="tasks.watch", ignore_result=True)  # every five minutes: its record says it all
def watch(task: Task[Any, Any], /, target: str, *, slot: str | None = None, by: str = "", **_: Any) -> dict[str, Any]:
    """Look at a target, and tell who is to be told."""
    return _conduct(task, target, slot, by)


@app.task(bind=True, name="tasks.tidy")
def tidy(
    task: Task[Any, Any], /, target: str, *, slot: str | None = None, by: str = "",
    dry_run: bool | None = None, force_share: float | None = None, **_: Any,
) -> dict[str, Any]:
    """Remove from a target what its rules find."""
    return _conduct(task, target, slot, by, dry_run=dry_run, force_share=force_share)


@app.task(bind=True, name="tasks.untidy")
def untidy(
    task: Task[Any, Any],
    /,
    target: str,
    *,
    archive: str = "",
    match: str = "",
    replace: bool = False,
    dry_run: bool = False,
    slot: str | None = None,
    by: str = "",
    **_: Any,
) -> dict[str, Any]:
    """Bring back what a tidy run archived, named by its id."""
    return _conduct(task, target, slot, by, archive=archive, match=match, replace=replace, dry_run=dry_run)


def _have_retention(backup_done: dict[str, Any]) -> None:
    """Send retention after a backup: once for that backup, however often its message comes; and, as the schedule's
    own, not while it is paused. The backup stands whether or not this can be sent, and retention comes by schedule
    too, so a broker that is away just now is only logged."""
    run_id, target = str(backup_done["id"]), str(backup_done["target"])
    kwargs: dict[str, Any] = {"by": f"backup {run_id[:8]}"}
    if backup_done["slot"]:
        kwargs["slot"] = names.slot_after(backup_done["slot"], "tasks.retention")
    try:
        app.send_task(
            "tasks.retention",
            [target],
            kwargs,
            task_id=str(uuid.uuid5(uuid.NAMESPACE_OID, f"{run_id} retention")),
            expires=RETENTION_EXPIRES,
            retry=False,
        )
    except (OperationalError, ControlUnreachable) as error:
        logging.getLogger(__name__).warning("retention could not be sent after backup %s: %s", run_id, error)


def _conduct(
    task: Task[Any, Any],
    target_name: str,
    slot: str | None,
    by: str,
    **options: Any,
) -> dict[str, Any]:
    settings = current()
    properties: dict[str, Any] = task.request.properties or {}
    ticket = job.Ticket(
        run_id=str(task.request.id),
        task=task.name,
        target=str(target_name),
        slot=None if slot is None else str(slot),
        by=str(by or "manual"),
        options=options,
        keep_message=broker.keep_message(settings.control, properties["delivery_tag"]),
    )
    with logs.about(run=ticket.run_id, task=ticket.task, target=ticket.target):
        try:
            return conduct(VERBS[ticket.task], ticket, settings)
        except job.Again as again:
            raise task.retry(countdown=again.delay, exc=again) from None
        except ControlUnreachable as unreachable:  # before there was a record: nothing was begun
            raise task.retry(countdown=settings.control.retry_delay, exc=unreachable) from None
        except RunCancelled:
            task.update_state(state="REVOKED")
            raise Ignore from None


def conduct(verb: Verb, ticket: job.Ticket, settings: Settings) -> dict[str, Any]:
    """Run a verb on the ticket's target inside the frame; also for a process without a broker.

    Raises as :func:`tasks.job.run`.
    """
    try:
        target = target_of(settings, ticket.target)
        _check_slot(ticket)
    except (UnknownTarget, MessageInvalid) as refusal:
        return job.run(partial(_refuse, refusal), replace(ticket, slot=None), settings, None)
    return job.run(lambda running: verb(running, settings, target), ticket, settings, target)


def _check_slot(ticket: job.Ticket) -> None:
    """A slot becomes a backup's id and date, so it must be one that our own schedule can have sent: a date far ahead
    would be the newest backup for years.

    Raises:
        MessageInvalid: it is not.
    """
    if ticket.slot is None:
        return
    due = names.due_of(ticket.slot, ticket.task, ticket.target)
    if due is None or due > datetime.now(UTC) + AHEAD:
        raise MessageInvalid(f"no slot of {ticket.task} {ticket.target} is called {ticket.slot[:64]!r}")


def _refuse(error: RedkeepError, _: job.Job) -> None:
    raise error

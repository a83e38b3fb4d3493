"""run: send a task through Celery and follow its record, or carry it in this process."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import click
from rich.progress import Progress, TaskID
from rich.text import Text

from tasks.cli.bar import progress_bar
from tasks.cli.look import records
from tasks.cli.terminal import (
    INTERRUPTED,
    emit,
    err,
    errors_told,
    json_option,
    out,
    say,
    seconds,
    show_error,
    whoami,
)
from tasks.errors import ControlUnreachable, NoWorker, RedkeepError, RunCancelled, RunUnknown, WorkerLost, recorded
from tasks.job import Again, Job, Ticket
from tasks.outcome import figures_told
from tasks.records import Record, Records
from tasks.schedule import queue_for
from tasks.settings import Settings, Target, current, target_of

__all__ = ["carry", "run"]

Verb = Callable[[Job, Settings, Target], None]

LOOK = 0.1
"""Seconds between two looks at the record."""
UNANSWERED = 3.0
"""Seconds in the queue after which it is asked whether any worker takes from it."""
TASKS: dict[str, frozenset[str]] = {
    "backup": frozenset(),
    "verify": frozenset(),
    "drill": frozenset({"backup"}),
    "enforce": frozenset({"dry_run"}),
    "retention": frozenset({"dry_run"}),
    "rewrite": frozenset(),
    "watch": frozenset(),
    "tidy": frozenset({"dry_run", "force_share"}),
}
"""The tasks there are, and what each can be asked for beside its target."""
STOPPED = RunCancelled("the run was cancelled")
UNTOLD = {"died": WorkerLost("the worker died").as_dict(), "cancelled": STOPPED.as_dict()}
"""Ends that a record may have without an error of its own."""


@click.command()
@click.argument("task", type=click.Choice(TASKS), metavar="TASK")
@click.argument("target")
@click.option("--detach", is_flag=True, help="Send it, print its id, and do not wait.")
@click.option("--inline", is_flag=True, help="Do it in this process; needs no worker.")
@click.option(
    "--dry-run/--no-dry-run",
    default=None,
    help="enforce, retention, tidy: only tell what would be done. Tidy does so until its rules have run for real once.",
)
@click.option(
    "--force-share",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    help="tidy: up to this share of all keys may go, whatever max_share says.",
)
@click.option("--backup", metavar="ID", help="drill: another backup than the newest.")
@json_option
@errors_told
def run(task: str, target: str, detach: bool, inline: bool, as_json: bool, **given: Any) -> None:
    """Run TASK (backup, verify, drill, enforce, retention, rewrite, tidy, watch) on TARGET now, and follow it."""
    if detach and inline:
        raise click.UsageError("--detach and --inline exclude each other.")
    options = _options(task, given)
    target_of(current(), target)
    run_id, by = str(uuid.uuid4()), whoami()
    if inline:
        _inline(Ticket(run_id, f"tasks.{task}", target, by=f"{by} inline", options=options), as_json)
    else:
        _send(Ticket(run_id, f"tasks.{task}", target, by=by, options=options))
        if detach:
            emit({"id": run_id}) if as_json else out.print(run_id)
            return
        _followed(run_id, as_json)
    _report(run_id, as_json)


def _options(task: str, given: dict[str, Any]) -> dict[str, Any]:
    """What was asked for, under the names of the task's arguments; what was not, its own defaults decide."""
    asked = {name: value for name, value in given.items() if value is not None}
    for name in sorted(set(asked) - TASKS[task]):
        raise click.UsageError(f"{task} has no --{name.replace('_', '-')}.")
    return asked


# -- starting --------------------------------------------------------------------------------------------


def _send(ticket: Ticket) -> None:
    from tasks.celery import app  # noqa: PLC0415

    with records() as kept:
        kept.queue(ticket.run_id, task=ticket.task, target=ticket.target, by=ticket.by)
    arguments = {"by": ticket.by, **ticket.options}
    # retry=False: who waits here wants to know now
    app.send_task(ticket.task, [ticket.target], arguments, task_id=ticket.run_id, retry=False)


def carry(ticket: Ticket, as_json: bool, verb: Verb) -> None:
    """A run in this process, from its record to its report, whatever does its work."""
    _inline(ticket, as_json, verb)
    _report(ticket.run_id, as_json)


def _inline(ticket: Ticket, as_json: bool, verb: Verb | None = None) -> None:
    """Do it here, and follow it in another thread. Ctrl-C and SIGTERM end it cleanly, as `redkeep cancel` does."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    over = threading.Event()
    follower = threading.Thread(target=_look_on, args=(ticket.run_id, as_json, over), daemon=True)
    follower.start()
    try:
        while (delay := _attempt(ticket, verb)) is not None:
            time.sleep(delay)
    except KeyboardInterrupt:
        with records() as kept:  # the frame has written what ended in the middle
            kept.close(ticket.run_id, "cancelled", STOPPED.as_dict(), when=("queued", "waiting"))
    finally:
        over.set()
        follower.join()


def _attempt(ticket: Ticket, verb: Verb | None) -> float | None:
    """Carry the run as far as it goes. Seconds until it is to be tried again, or None: the record has its end."""
    from tasks.celery import VERBS, conduct  # noqa: PLC0415

    try:
        conduct(verb or VERBS[ticket.task], ticket, current())
    except Again as again:
        return again.delay
    except ControlUnreachable:
        raise
    except RedkeepError:
        return None
    return None


def _look_on(run_id: str, as_json: bool, over: threading.Event) -> None:
    with suppress(RedkeepError):  # the run itself meets the same, and tells
        _follow(run_id, as_json, over)


# -- following -------------------------------------------------------------------------------------------


def _followed(run_id: str, as_json: bool) -> None:
    try:
        _follow(run_id, as_json)
    except KeyboardInterrupt:
        short = run_id[:8]
        say(f"The run goes on without us: `redkeep show {short}` looks at it, `redkeep cancel {short}` stops it.")
        sys.exit(INTERRUPTED)


def _follow(run_id: str, as_json: bool, over: threading.Event | None = None) -> None:
    """Until the record is final, or `over` is set. A bar in a terminal; a line for each change elsewhere; nothing
    with --json."""
    if as_json or not err.is_terminal:
        told = ""
        for record in _watched(run_id, over):
            line = _line(record)
            if line != told and not as_json:
                say(line)
            told = line
        return
    with progress_bar(err) as progress:
        bar = progress.add_task("queued", total=None)
        for record in _watched(run_id, over):
            _draw(progress, bar, record)


def _watched(run_id: str, over: threading.Event | None) -> Iterator[Record]:
    """The record, again and again, up to its end."""
    began = time.monotonic()
    asked = False
    with records() as kept:
        while True:
            last = over is not None and over.is_set()
            record = _read(kept, run_id)
            if record is not None:
                yield record
            if last or (record is not None and record.final):
                return
            if not asked and time.monotonic() - began > UNANSWERED:
                asked = True
                if record is None or record.state == "queued":
                    _look_for_worker(run_id, record)
            time.sleep(LOOK)


def _read(kept: Records, run_id: str) -> Record | None:
    try:
        return kept.read(run_id)
    except RunUnknown:
        return None


def _look_for_worker(run_id: str, record: Record | None) -> None:
    """Say so where nobody takes from the run's queue; the run waits for somebody who does."""
    from tasks.celery import app  # noqa: PLC0415

    if record is None:
        return
    queue = queue_for(current(), str(record.get("task")), record.get("target"))
    answers: dict[str, Any] = dict(app.control.inspect(timeout=1.0).active_queues() or {})
    served = {each["name"] for each in itertools.chain.from_iterable(answers.values())}
    if queue not in served:
        error = NoWorker(f"no worker takes from queue {queue!r}")
        error.hint = f"Start one with `redkeep worker {queue}`; run {run_id[:8]} waits for it (Ctrl-C leaves it there)."
        show_error(error)


def _line(record: Record) -> str:
    phase = (record.get("progress") or {}).get("phase", "") if record.state == "running" else ""
    reason = (record.get("error") or {}).get("message", "") if record.state == "waiting" else ""
    title = f"{record.get('task', '')} {record.get('target', '')}:"
    return " ".join(filter(None, (title, record.state, phase, reason)))


def _draw(progress: Progress, bar: TaskID, record: Record) -> None:
    told = record.get("progress") or {}
    done, total = told.get("bytes"), told.get("total")
    reason = (record.get("error") or {}).get("message", "") if record.state == "waiting" else ""
    keys = f", {told['keys']:,} of {told['total_keys']:,} keys" if "keys" in told else ""
    description = reason or f"{told.get('phase') or record.state}{keys}"
    progress.update(bar, description=description[:60], completed=done or 0, total=total)


# -- its end ---------------------------------------------------------------------------------------------


def _report(run_id: str, as_json: bool) -> None:
    with records() as kept:
        record = kept.read(run_id)
    error = record.get("error") or UNTOLD.get(record.state)
    if as_json:
        emit(record.result())
    elif record.state == "succeeded":
        _tell(record)
    elif error:
        show_error(recorded(error))
    if record.state not in ("succeeded", "skipped"):
        sys.exit(error["code"] if error else 1)


def _tell(record: Record) -> None:
    figures, phases = record.get("figures", {}), record.get("phases", {})
    took = seconds(sum(phases.values()))
    named = " ".join(filter(None, (record.get("target"), figures.get("backup"))))
    out.print(f"[green]succeeded[/] {named} in {took}")
    for line in figures_told(record):
        out.print(Text(f"  {line}"))
    for warning in record.get("warnings", []):
        out.print(Text.assemble("  ", ("warning", "yellow"), f" {warning}"))

"""run: send a task through Celery and follow its record, or carry it in this process."""

from __future__ import annotations

import getpass
import itertools
import socket
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import click
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TaskID, TextColumn, TransferSpeedColumn

from tasks.cli.look import records
from tasks.cli.terminal import emit, err, errors_told, json_option, out, say, seconds, show_error, size
from tasks.errors import NoWorker, RedkeepError, RunUnknown, WorkerLost, recorded
from tasks.records import Record, Records
from tasks.schedule import queue_for
from tasks.settings import current, target_of

__all__ = ["run"]

LOOK = 0.1
"""Seconds between two looks at the record."""
UNANSWERED = 3.0
"""Seconds in the queue after which it is asked whether any worker takes from it."""
TASKS = ("backup",)
INTERRUPTED = 130


@click.command()
@click.argument("task", type=click.Choice(TASKS))
@click.argument("target")
@click.option("--detach", is_flag=True, help="Send it, print its id, and do not wait.")
@click.option("--inline", is_flag=True, help="Do it in this process; needs no worker.")
@json_option
@errors_told
def run(task: str, target: str, detach: bool, inline: bool, as_json: bool) -> None:
    """Run TASK on TARGET now, and follow it."""
    target_of(current(), target)
    run_id = str(uuid.uuid4())
    by = f"{getpass.getuser()}@{socket.gethostname()}"
    if inline:
        worker = threading.Thread(target=_follow, args=(run_id, as_json), daemon=True)
        worker.start()
        _carry(f"tasks.{task}", target, run_id, by)
        worker.join()
    else:
        _send(f"tasks.{task}", target, run_id, by)
        if detach:
            emit({"id": run_id}) if as_json else out.print(run_id)
            return
        _followed(run_id, as_json)
    _report(run_id, as_json)


# -- starting --------------------------------------------------------------------------------------------


def _send(task: str, target: str, run_id: str, by: str) -> None:
    from tasks.celery import app  # noqa: PLC0415

    with records() as kept:
        kept.queue(run_id, task=task, target=target, by=by)
    app.send_task(task, [target], {"by": by}, task_id=run_id, retry=False)  # who waits here wants to know now


def _carry(task: str, target: str, run_id: str, by: str) -> None:
    from tasks import job  # noqa: PLC0415
    from tasks.celery import VERBS, conduct  # noqa: PLC0415

    ticket = job.Ticket(run_id, task, target, by=f"{by} inline")
    while True:
        try:
            conduct(VERBS[task], ticket, current())
        except job.Again as again:
            time.sleep(again.delay)
        except RedkeepError as error:
            if error.name == "control-unreachable":
                raise
            return  # the record has it
        except KeyboardInterrupt:
            return  # the record says cancelled
        else:
            return


# -- following -------------------------------------------------------------------------------------------


def _followed(run_id: str, as_json: bool) -> None:
    try:
        _follow(run_id, as_json)
    except KeyboardInterrupt:
        short = run_id[:8]
        say(f"The run goes on without us: `redkeep show {short}` looks at it, `redkeep cancel {short}` stops it.")
        sys.exit(INTERRUPTED)


def _follow(run_id: str, as_json: bool) -> None:
    """Until the record is final. A bar in a terminal; a line for each change elsewhere; nothing with --json."""
    if as_json or not err.is_terminal:
        told = ""
        for record in _watched(run_id):
            line = _line(record)
            if line != told and not as_json:
                say(line)
            told = line
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        bar = progress.add_task("queued", total=None)
        for record in _watched(run_id):
            _draw(progress, bar, record)


def _watched(run_id: str) -> Iterator[Record]:
    """The record, again and again, up to its end."""
    began = time.monotonic()
    asked = False
    with records() as kept:
        while True:
            record = _read(kept, run_id)
            if record is not None:
                yield record
                if record.final:
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
    description = reason or told.get("phase") or record.state
    progress.update(bar, description=description[:60], completed=done or 0, total=total)


# -- its end ---------------------------------------------------------------------------------------------


def _report(run_id: str, as_json: bool) -> None:
    with records() as kept:
        record = kept.read(run_id)
    error = record.get("error") or (WorkerLost("the worker died").as_dict() if record.state == "died" else None)
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
    out.print(f"[green]succeeded[/] {record.get('target')} {figures.get('backup', '')} in {took}")
    if "bytes" in figures:
        out.print(
            f"  {size(figures['bytes'])} by {figures['source']}, {size(figures['stored_bytes'])} stored "
            f"({figures['ratio']}x), {figures['keys']:,} keys"
        )
    for warning in record.get("warnings", []):
        out.print(f"  [yellow]warning[/] {warning}")

"""cancel, pause and resume."""

from __future__ import annotations

import getpass
import socket
from datetime import UTC, datetime

import click

from tasks import control
from tasks.cli.look import records
from tasks.cli.terminal import clock, emit, errors_told, json_option, say
from tasks.errors import RunCancelled
from tasks.names import QUEUES, Keys
from tasks.settings import current, target_of

__all__ = ["cancel", "pause", "resume"]

task_argument = click.argument("task", required=False, type=click.Choice(sorted(QUEUES)))


@click.command()
@click.argument("run")
@json_option
@errors_told
def cancel(run: str, as_json: bool) -> None:
    """Stop a queued, waiting or running job cleanly."""
    with records() as kept:
        found = kept.find(run)
        error = RunCancelled("the run was cancelled").as_dict()
        kept.ask_to_cancel(found.id)
        done = kept.close(found.id, "cancelled", error, when=("queued", "waiting"))
    if as_json:
        emit({"id": found.id, "was": found.state, "cancelled": done or found.state == "running"})
    elif found.final:
        say(f"Run {found.id[:8]} had already {found.state}.")
    else:
        say(f"Run {found.id[:8]} is cancelled." if done else f"Run {found.id[:8]} stops at its next step.")


@click.command()
@click.argument("target")
@task_argument
@click.option("--why", default="", help="Shown wherever the pause is.")
@json_option
@errors_told
def pause(target: str, task: str | None, why: str, as_json: bool) -> None:
    """Have the schedule start nothing on TARGET, or no TASK there. Runs started by hand go on."""
    target_of(current(), target)
    what = f"tasks.{task}" if task else "*"
    told = why or f"by {getpass.getuser()}@{socket.gethostname()} at {clock(datetime.now(UTC))}"
    client = control.connect(current().control)
    with control.speaking(client):
        client.hset(Keys(current().control.namespace).paused(target), what, told)
    _answer(as_json, target, task, paused=True)


@click.command()
@click.argument("target")
@task_argument
@json_option
@errors_told
def resume(target: str, task: str | None, as_json: bool) -> None:
    """Undo a pause. Without TASK, every pause of the target."""
    target_of(current(), target)
    key = Keys(current().control.namespace).paused(target)
    client = control.connect(current().control)
    with control.speaking(client):
        client.hdel(key, f"tasks.{task}") if task else client.delete(key)
    _answer(as_json, target, task, paused=False)


def _answer(as_json: bool, target: str, task: str | None, *, paused: bool) -> None:
    if as_json:
        emit({"target": target, "task": task, "paused": paused})
    else:
        what = f"{task} of {target}" if task else f"everything scheduled for {target}"
        say(f"{what[0].upper()}{what[1:]} is {'paused' if paused else 'no longer paused'}.")

"""cancel, pause and resume."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import click

from tasks import control
from tasks.cli.look import records
from tasks.cli.terminal import clock, emit, errors_told, json_option, say, whoami
from tasks.errors import RunCancelled
from tasks.names import QUEUES, Keys
from tasks.settings import current, target_of

__all__ = ["cancel", "pause", "resume"]

task_argument = click.argument("task", required=False, type=click.Choice(sorted(QUEUES)), metavar="[TASK]")


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
        stops = done or kept.read(found.id).state == "running"
    if as_json:
        emit({"id": found.id, "was": found.state, "cancelled": stops})
    elif not stops:
        say(f"Run {found.id[:8]} had ended already: {found.state}.")
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
    told = f"{f'{why}, ' if why else ''}by {whoami()} at {clock(datetime.now(UTC))}"
    with _paused(target) as (client, key):
        client.hset(key, what, told)
    _answer(as_json, target, task, paused=True)


@click.command()
@click.argument("target")
@task_argument
@json_option
@errors_told
def resume(target: str, task: str | None, as_json: bool) -> None:
    """Undo a pause. Without TASK, every pause of the target."""
    target_of(current(), target)
    with _paused(target) as (client, key):
        client.hdel(key, f"tasks.{task}") if task else client.delete(key)
        still = client.hexists(key, "*")
    _answer(as_json, target, task, paused=still)
    if still and not as_json:
        say(f"Everything scheduled for {target} is paused; `redkeep resume {target}` ends that.", "yellow")


@contextmanager
def _paused(target: str) -> Iterator[tuple[control.Client, str]]:
    """A client, and the key with the target's pauses."""
    client = control.connect(current().control)
    try:
        with control.speaking(client):
            yield client, Keys(current().control.namespace).paused(target)
    finally:
        client.close()


def _answer(as_json: bool, target: str, task: str | None, *, paused: bool) -> None:
    if as_json:
        emit({"target": target, "task": task, "paused": paused})
    else:
        what = f"{task} of {target}" if task else f"everything scheduled for {target}"
        say(f"{what[0].upper()}{what[1:]} is {'' if paused else 'no longer '}paused.")

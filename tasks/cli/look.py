"""history and show: what the run records say."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from tasks import control
from tasks.cli.terminal import age, clock, emit, errors_told, json_option, out, say, seconds, size, table
from tasks.records import FINAL, Record, Records
from tasks.settings import current, target_of

__all__ = ["history", "records", "show"]

STYLE = {
    "succeeded": "green",
    "running": "cyan",
    "queued": "cyan",
    "waiting": "yellow",
    "deferred": "yellow",
    "failed": "red",
    "died": "red",
}
BYTES = ("bytes", "stored_bytes", "cow_bytes")


@contextmanager
def records() -> Iterator[Records]:
    """The installation's run records."""
    client = control.connect(current().control)
    try:
        yield Records(client, current().control)
    finally:
        client.close()


@click.command()
@click.argument("target", required=False)
@click.option("--task", help="Only this task, like backup.")
@click.option("--outcome", type=click.Choice([*sorted(FINAL), "queued", "waiting", "running"]))
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@errors_told
def history(target: str | None, task: str | None, outcome: str | None, limit: int, as_json: bool) -> None:
    """Runs, newest first."""
    if target is not None:
        target_of(current(), target)
    named = f"tasks.{task.removeprefix('tasks.')}" if task else None
    with records() as kept:
        found = [run for run in kept.newest(target, named, limit=limit) if outcome in (None, run.state)]
    if as_json:
        emit([run.result() | {"sent": clock(run.moment("created"))} for run in found])
        return
    if not found:
        say("No runs yet. Start one with `redkeep run backup TARGET`.")
        return
    shown = table("RUN", "SENT", "TASK", "TARGET", "OUTCOME", "TOOK>", "RDB>", "STORED>", "BY", "NOTE")
    for run in found:
        shown.add_row(*_row(run))
    out.print(shown)


def _row(run: Record) -> list[str]:
    figures, error = run.get("figures", {}), run.get("error") or {}
    note = error.get("message", "") or "; ".join(run.get("warnings", []))
    style = STYLE.get(run.state, "")
    return [
        run.id[:8],
        age(run.moment("created")),
        str(run.get("task", "")).removeprefix("tasks."),
        str(run.get("target", "")),
        f"[{style}]{run.state}[/]" if style else run.state,
        seconds(_took(run)),
        size(figures.get("bytes")),
        size(figures.get("stored_bytes")),
        str(run.get("by", "")),
        note.replace("[", r"\["),
    ]


def _took(run: Record) -> float | None:
    started, ended = run.moment("started"), run.moment("ended")
    return (ended - started).total_seconds() if started and ended else None


@click.command()
@click.argument("run")
@json_option
@errors_told
def show(run: str, as_json: bool) -> None:
    """All that is known of one run. A unique beginning of its id is enough."""
    with records() as kept:
        found = kept.find(run)
    if as_json:
        emit(found.result() | {name: found.get(name) for name in ("by", "host", "fence", "attempts", "warnings")})
        return
    for name, value in _told(found):
        out.print(f"[bold]{name:<12}[/]", value.replace("[", r"\["))


def _told(run: Record) -> Iterator[tuple[str, str]]:
    yield "run", run.id
    yield "task", f"{run.get('task', '')} {run.get('target', '')}"
    yield "outcome", run.state
    yield "slot", run.get("slot", "none: started by hand")
    yield "by", run.get("by", "")
    for name in ("created", "started", "ended"):
        yield name, f"{clock(run.moment(name))}  ({age(run.moment(name))})"
    yield "host", run.get("host", "-")
    yield "fence", str(run.get("fence", "-"))
    for attempt in run.get("attempts", []):
        yield "attempt", f"{attempt['outcome']} on {attempt.get('host')}"
    if error := run.get("error"):
        yield "error", f"{error['message']}  [{error['name']}, {error['code']}]"
        yield "hint", error["hint"]
    for warning in run.get("warnings", []):
        yield "warning", warning
    for name, took in run.get("phases", {}).items():
        yield f"  {name}", seconds(took)
    for name, value in run.get("figures", {}).items():
        yield f"  {name}", _figure(name, value)


def _figure(name: str, value: Any) -> str:
    if name in BYTES:
        return f"{value}  ({size(value)})" if value is not None else "-"
    return "-" if value is None else str(value)

"""history and show: what the run records say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import click
from rich.text import Text

from tasks import control
from tasks.cli.terminal import age, clock, emit, errors_told, json_option, out, say, seconds, show_table, size
from tasks.names import QUEUES
from tasks.outcome import figures_told
from tasks.records import FINAL, Record, Records
from tasks.settings import current, target_of

__all__ = ["history", "reach_control", "records", "show"]

STYLE = {
    "succeeded": "green",
    "running": "cyan",
    "queued": "cyan",
    "waiting": "yellow",
    "deferred": "yellow",
    "failed": "red",
    "died": "red",
}
GUARD_STYLE = {"go": "green", "defer": "yellow", "refuse": "red"}
MOMENTS = ("created", "started", "ended")
COLUMNS = ("RUN", "SENT", "TASK", "TARGET", "OUTCOME", "TOOK>", "RDB>", "STORED>", "BY", "NOTE")
BYTES = (
    *("bytes", "stored_bytes", "cow_bytes", "bytes_before", "bytes_after", "bytes_saved", "base_bytes"),
    *("expected_cow_bytes", "expected_disk_bytes"),
)
GUARD_COLUMNS = ("RUN", "SENT", "TASK", "TARGET", "GUARD", "FORK>", "COPIED>", "CHILD>", "DISK>", "OUTCOME", "NOTE")
"""With --guard: each figure as it was expected, and as it came."""


@contextmanager
def records() -> Iterator[Records]:
    """The installation's run records."""
    client = control.connect(current().control)
    try:
        yield Records(client, current().control)
    finally:
        client.close()


def reach_control() -> None:
    """For what asks through Celery, which goes on trying for several seconds.

    Raises:
        ControlUnreachable: nobody can be asked.
    """
    client = control.connect(current().control)
    try:
        with control.speaking(client):
            client.ping()
    finally:
        client.close()


@click.command()
@click.argument("target", required=False)
@click.option("--task", type=click.Choice(sorted(QUEUES)), metavar="TASK", help="Only this task, like backup.")
@click.option("--outcome", type=click.Choice([*sorted(FINAL), "queued", "waiting", "running"]))
@click.option("--guard", is_flag=True, help="Only what forks: what the guard expected, beside what came.")
@click.option("-n", "--limit", default=20, show_default=True, type=click.IntRange(1, 10_000))
@json_option
@errors_told
def history(
    target: str | None, task: str | None, outcome: str | None, guard: bool, limit: int, as_json: bool
) -> None:
    """Runs, newest first."""
    if target is not None:
        target_of(current(), target)
    named = f"tasks.{task}" if task else None
    with records() as kept:
        found = [run for run in kept.newest(target, named, limit=limit) if outcome in (None, run.state)]
    if guard:
        found = [run for run in found if "guard" in run.get("figures", {})]
    if as_json:
        emit([run.result() | {"sent": clock(run.moment("created"))} for run in found])
        return
    if not found:
        asked = target or task or outcome
        say("No such run." if asked else "No runs yet. Start one with `redkeep run backup TARGET`.")
        return
    if guard:
        show_table(GUARD_COLUMNS, [_guard_row(run) for run in found], drop=("DISK", "SENT", "CHILD"))
        return
    show_table(COLUMNS, [_row(run) for run in found], drop=("BY", "RDB", "TOOK", "STORED"))


def _row(run: Record) -> list[Text | str]:
    figures, error = run.get("figures", {}), run.get("error") or {}
    note = error.get("message", "") or "; ".join(run.get("warnings", []))
    return [
        run.id[:8],
        age(run.moment("created")),
        str(run.get("task", "")).removeprefix("tasks."),
        str(run.get("target", "")),
        Text(run.state, STYLE.get(run.state, "")),
        seconds(_took(run)),
        size(figures.get("bytes")),
        size(figures.get("stored_bytes")),
        str(run.get("by", "")),
        note,
    ]


def _guard_row(run: Record) -> list[Text | str]:
    figures, error = run.get("figures", {}), run.get("error") or {}

    def both(name: str, told: Callable[[float | None], str], share: float = 1.0) -> str:
        figure = figures.get(name)
        came = told(None if figure is None else figure * share)
        return f"{told(figures[f'expected_{name}'] * share)} / {came}"

    return [
        run.id[:8],
        age(run.moment("created")),
        str(run.get("task", "")).removeprefix("tasks."),
        str(run.get("target", "")),
        Text(figures["guard"], GUARD_STYLE[figures["guard"]]),
        both("fork_usec", seconds, 1e-6),
        both("cow_bytes", size),
        both("seconds", seconds),
        size(figures["expected_disk_bytes"]),
        Text(run.state, STYLE.get(run.state, "")),
        error.get("message", "") or "; ".join(figures.get("guard_warnings", [])),
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
        emit(found.result() | _more(found))
        return
    for name, value in _told(found):
        out.print(Text.assemble((f"{name:<14} ", "bold"), value))


def _more(run: Record) -> dict[str, Any]:
    moments = {name: clock(run.moment(name)) if run.moment(name) else None for name in MOMENTS}
    facts = {"by": run.get("by"), "host": run.get("host"), "fence": int(run.get("fence") or 0)}
    lists = {name: run.get(name) or [] for name in ("attempts", "warnings")}
    return moments | facts | lists | {"progress": run.get("progress") or {}}


def _told(run: Record) -> Iterator[tuple[str, str]]:
    yield "run", run.id
    yield "task", f"{run.get('task', '')} {run.get('target', '')}"
    yield "outcome", run.state
    yield "slot", run.get("slot", "none: started by hand")
    yield "by", run.get("by", "")
    for name in MOMENTS:
        yield name, f"{clock(run.moment(name))}  ({age(run.moment(name))})"
    yield "host", run.get("host", "-")
    yield "fence", str(run.get("fence", "-"))
    if run.state == "running" and (progress := run.get("progress")):
        told = f"{progress.get('phase', '')}"
        done = f", {size(progress['bytes'])} of about {size(progress['total'])}" if "bytes" in progress else ""
        yield "now", told + done
    for attempt in run.get("attempts", []):
        yield "attempt", f"{attempt['outcome']} on {attempt.get('host')}"
    if error := run.get("error"):
        yield "error", f"{error['message']}  [{error['name']}, {error['code']}]"
        yield "hint", error["hint"]
    for warning in run.get("warnings", []):
        yield "warning", warning
    for name, took in run.get("phases", {}).items():
        yield f"  {name}", seconds(took)
    words = figures_told(run)
    yield from (("", line) for line in words)
    for name, value in (run.get("figures") or {}).items():
        if not (words and isinstance(value, list)):  # a list is what the words tell of
            yield f"  {name}", _figure(name, value)


def _figure(name: str, value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_figure('', each)}" for key, each in value.items()) or "-"
    if isinstance(value, list):
        return "; ".join(_figure("", each) for each in value) or "-"
    if name in BYTES:
        return f"{value}  ({size(value)})" if value is not None else "-"
    return "-" if value is None else str(value)

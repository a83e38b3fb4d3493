"""status: how everything stands, on one screen, and as an exit code."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain, repeat

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tasks.cli.terminal import emit, errors_told, json_option, out
from tasks.freshness import State
from tasks.inventory import Proof
from tasks.names import ROUTINE
from tasks.records import Record
from tasks.settings import current, target_of
from tasks.status import Context, Observer, TargetStatus, Wanted
from tasks.status import as_json as told
from tasks.words import age, clock, seconds, size, until

__all__ = ["EXIT", "status"]

EXIT: dict[State, int] = {"fresh": 0, "stale": 1, "broken": 2, "unknown": 3}
"""As Nagios and its heirs understand them: OK, WARNING, CRITICAL, UNKNOWN."""
STYLE = {"fresh": "green", "stale": "yellow", "broken": "red", "unknown": "magenta"}
EVERY = 2.0
"""Seconds between two looks with --watch."""
NAMED = 3
"""Targets that the first line names at most."""
LABEL = 12
"""Columns of the names before what is said."""


@click.command()
@click.argument("target", required=False)
@click.option("--watch", is_flag=True, help="Stay, and look again every two seconds; Ctrl-C ends it.")
@json_option
@errors_told
def status(target: str | None, watch: bool, as_json: bool) -> None:
    """How everything stands: freshness against the objective, proofs, next runs, what runs now.

    Exit code 0 fresh, 1 stale, 2 broken, 3 unknown, the worst of all targets; the first line says it in words.
    """
    if watch and (as_json or not out.is_terminal):
        raise click.UsageError("--watch needs a terminal, and no --json.")
    if target is not None:
        target_of(current(), target)
    with Observer(current()) as observer:
        if watch:
            _stay(observer, target)
        context = _look(observer, target)
    if as_json:
        emit(told(context))
    elif out.is_terminal:
        out.print(_screen(context), soft_wrap=False)
    else:
        out.print("\n".join(f"{label:<{LABEL if label else 0}}{words}" for label, words in _rows(context)))
    sys.exit(EXIT[context.state])


def _look(observer: Observer, target: str | None, *, patient: bool = True) -> Context:
    """Of one target where one is named."""
    found = observer.context(Wanted(target=target or ""), patient=patient)
    if target is None:
        return found
    return replace(found, targets=tuple(each for each in found.targets if each.name == target))


def _stay(observer: Observer, target: str | None) -> None:
    """Until Ctrl-C, in the terminal's other screen, which leaves no trace behind."""
    console = Console(highlight=False)
    with Live(console=console, screen=True, auto_refresh=False) as live:
        for patient in chain([True], repeat(False)):
            context = _look(observer, target, patient=patient)
            footer = Text(f"\nas of {clock(context.at)}; Ctrl-C ends it", "dim")
            live.update(Group(_screen(context), footer), refresh=True)
            time.sleep(EVERY)


# -- what is shown -----------------------------------------------------------------------------------------

Row = tuple[str, Text]
"""A name and what is said of it; without a name, a line of its own."""


def _screen(context: Context) -> Group:
    """In two columns, so that what is long goes on below itself."""
    return Group(*(_columns(label, words) if label else words for label, words in _rows(context)))


def _columns(label: str, words: Text) -> Table:
    made = Table.grid(padding=0)
    made.add_column(width=LABEL, no_wrap=True)
    made.add_column(overflow="fold")
    made.add_row(label, words)
    return made


def _rows(context: Context) -> Iterator[Row]:
    yield "", _summary(context)
    if context.problem:
        as_of = f"; what runs and who holds what is as of {age(context.known, context.at)}" if context.known else ""
        yield "control", Text(f"{context.problem['message']}{as_of}", "red")
    for target in context.targets:
        yield "", Text()
        yield from _target(target, context.at)


def _summary(context: Context) -> Text:
    """Everything in the first line: what a mail's subject or a monitor's one field has room for."""
    configured = [each for each in context.targets if each.configured]
    worst = [each for each in configured if each.freshness.state == context.state]
    said = [f"{each.name}: {each.freshness.words}" for each in worst[:NAMED]]
    said += [f"{len(worst) - NAMED} more are {context.state}"] if len(worst) > NAMED else []
    said += ["the control Redis does not answer"] if context.problem else []
    counted = Counter(each.freshness.state for each in configured if each not in worst)
    said += [f"{count} {state}" for state, count in counted.items()]
    if alarms := sum(len(each.alarms) for each in configured):
        said.append(f"{alarms} alarm{'s' if alarms > 1 else ''}")
    return Text.assemble((context.state.upper(), f"bold {STYLE[context.state]}"), f" {'; '.join(said)}")


def _target(target: TargetStatus, now: datetime) -> Iterator[Row]:
    fresh = target.freshness
    yield "", Text.assemble((target.name, "bold"), "  ", (fresh.state, STYLE[fresh.state]), f"  {fresh.words}")
    for reason in fresh.reasons:
        yield "  also", Text(reason)
    yield "  backup", Text(_backup(target, now))
    yield "  verified", _proof(target.stock.verified, now)
    yield "  drilled", _proof(target.stock.drilled, now)
    if due := [f"{_short(task)} {until(at, now)}" for task, at in _soonest(target)]:
        yield "  next", Text(", ".join(due))
    for run in target.running:
        yield "  now", Text(_run(run, now), "cyan")
    for held in filter(None, {target.lease, target.host_lease}):
        yield "  held by", Text(held)
    for task, why in target.paused.items():
        yield "  paused", Text(f"{'everything' if task == '*' else _short(task)}: {why}", "yellow")
    for alarm in target.alarms:
        since = age(datetime.fromtimestamp(alarm.since, UTC), now)
        unheard = "" if alarm.told else ", nobody was told yet"
        yield "  alarm", Text(f"{alarm.words} (found {since}{unheard})", "red")


def _backup(target: TargetStatus, now: datetime) -> str:
    newest = target.stock.newest
    if newest is None:
        return "none"
    stored = f"{size(newest.bytes)}, {size(newest.stored_bytes)} stored, {newest.keys or 0:,} keys"
    return f"{age(newest.taken, now)}, {stored}; {target.stock.count} in the store"


def _proof(proof: Proof | None, now: datetime) -> Text:
    if proof is None:
        return Text("never", "dim")
    if not proof.ok:
        return Text(f"failed {age(proof.at, now)}: {proof.error}", "red")
    recovery = f", recovery time {seconds(proof.seconds)}" if proof.seconds is not None else ""
    return Text(f"{age(proof.at, now)}, good{recovery}")


def _soonest(target: TargetStatus) -> list[tuple[str, datetime]]:
    return sorted(((task, at) for task, at in target.due.items() if task not in ROUTINE), key=lambda each: each[1])


def _run(run: Record, now: datetime) -> str:
    what = _short(str(run.get("task", "")))
    if run.state != "running":
        return f"{what} {run.state}, sent {age(run.moment('created'), now)}"
    progress = run.get("progress") or {}
    done, total = progress.get("bytes"), progress.get("total")
    share = ""
    if isinstance(done, int) and isinstance(total, int) and total > 0:
        share = f", {min(done / total, 1):.0%} of about {size(total)}"
    return f"{what}: {progress.get('phase') or 'begins'}{share}, since {age(run.moment('started'), now)}"


def _short(task: str) -> str:
    return task.removeprefix("tasks.")

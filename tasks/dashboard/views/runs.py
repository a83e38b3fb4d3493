"""Runs in words: a row of the table, and a page of its own. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tasks.dashboard.chart import phase_bar
from tasks.dashboard.views.small import OUTCOMES, Bar, Fact, bar, bare, cut, milliseconds, note, number
from tasks.outcome import figures_told
from tasks.records import Record
from tasks.status.picture import OPEN
from tasks.words import age, clock, seconds, size

__all__ = ["Row", "RunView", "row", "run_view"]

@dataclass(frozen=True)
class Row:
    """One run in the table."""

    id: str
    task: str
    target: str
    outcome: str
    tone: str
    sent: str
    sent_at: str
    took: str
    size: str
    by: str
    note: str


def row(run: Record, now: datetime) -> Row:
    created, stored = run.moment("created"), number(run.get("figures", {}), "stored_bytes")
    return Row(
        id=run.id,
        task=bare(run.get("task", "")),
        target=str(run.get("target", "")),
        outcome=run.state,
        tone=OUTCOMES.get(run.state, "calm"),
        sent=age(created, now),
        sent_at=clock(created),
        took=seconds(_took(run)),
        size=size(stored) if stored is not None else "",
        by=str(run.get("by", "")),
        note=cut(note(run)),
    )


@dataclass(frozen=True)
class RunView:
    """One run's page."""

    row: Row
    bar: Bar | None
    phases: tuple[tuple[str, str, str], ...]
    """Name, duration, share of the whole."""
    phase_bar: str
    facts: tuple[Fact, ...]
    figures: tuple[tuple[str, str], ...]
    told: tuple[str, ...]
    """What it has to show, in lines."""
    tables: tuple[tuple[str, tuple[str, ...]], ...]
    """The figures that are lists, where the lines do not tell them."""
    error: Mapping[str, str] | None
    warnings: tuple[str, ...]


def run_view(run: Record, now: datetime) -> RunView:
    phases = [(name, took) for name in run.get("phases") or {} if (took := number(run.get("phases"), name)) is not None]
    total = sum(took for _, took in phases) or 1.0
    figures = run.get("figures") or {}
    error, lines = run.get("error") or None, figures_told(run)
    return RunView(
        row=row(run, now),
        bar=bar(run) if run.state in OPEN else None,
        phases=tuple((name, seconds(took), f"{took / total:.0%}") for name, took in phases),
        phase_bar=phase_bar(phases),
        facts=tuple(_run_facts(run, now)),
        figures=tuple(_flat(figures)),
        told=lines,
        tables=() if lines else tuple(_tables(figures)),
        error={name: str(value) for name, value in error.items()} if error else None,
        warnings=tuple(str(each) for each in run.get("warnings") or []),
    )


def _run_facts(run: Record, now: datetime) -> Iterator[Fact]:
    yield Fact("Run", run.id)
    yield Fact("Slot", str(run.get("slot") or "none: started by hand"))
    yield Fact("Started by", str(run.get("by") or "-"))
    yield Fact("Host", str(run.get("host") or "-"))
    for label, name in (("Sent", "created"), ("Started", "started"), ("Ended", "ended")):
        moment = run.moment(name)
        yield Fact(label, clock(moment), age(moment, now) if moment else "")
    yield Fact("Took", seconds(_took(run)))
    yield Fact("Fence", str(run.get("fence") or "-"))
    for attempt in run.get("attempts") or []:
        if isinstance(attempt, dict):
            yield Fact("Earlier attempt", str(attempt.get("outcome", "")), f"on {attempt.get('host', '-')}", "warn")
    if run.unreadable:
        yield Fact("Unreadable", ", ".join(run.unreadable), "the record holds something else there", "bad")


def _flat(figures: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in figures.items():
        title = f"{prefix}{_title(name)}"
        if isinstance(value, dict):
            yield from _flat(value, f"{title}: ")
        elif not isinstance(value, list):
            yield title, _value(name, value)


def _tables(figures: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    for name, value in figures.items():
        if isinstance(value, list) and value:
            yield name, _lines(value)


def _title(name: str) -> str:
    """Without the unit, which the value is told in."""
    for unit in TOLD_IN:
        name = name.removesuffix(f"_{unit}")
    return {"bytes": "size", "cow": "copy-on-write"}.get(name, name.replace("_", " "))


def _value(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float) or not math.isfinite(value):
        return "-" if value is None else str(value)
    words = name.split("_")
    tell = TOLD_IN.get(words[-1]) or TOLD_IN.get(words[0]) or "{:,}".format
    return tell(value)


TOLD_IN: dict[str, Callable[[float], str]] = {
    "bytes": size,
    "seconds": seconds,
    "usec": lambda value: milliseconds(value / 1000),
    "ms": milliseconds,
}
"""How a figure is told, by the unit that its name ends in, or begins with."""


def _lines(values: list[Any]) -> tuple[str, ...]:
    return tuple(
        ", ".join(f"{name} {_joined(each)}" for name, each in value.items()) if isinstance(value, dict) else str(value)
        for value in values
    )


def _joined(value: Any) -> str:
    return "; ".join(str(each) for each in value) if isinstance(value, list) else str(value)


def _took(run: Record) -> float | None:
    started, ended = run.moment("started"), run.moment("ended")
    return max((ended - started).total_seconds(), 0.0) if started and ended else None

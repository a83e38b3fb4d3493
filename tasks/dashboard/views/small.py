"""What the views of targets and of runs share: facts, bars, and how small things are called. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from tasks.outcome import figures_told
from tasks.records import Record
from tasks.words import size

__all__ = [
    "OUTCOMES",
    "Bar",
    "Fact",
    "bar",
    "bare",
    "count",
    "cut",
    "milliseconds",
    "note",
    "number",
    "sentence",
]

OUTCOMES = {
    "succeeded": "good",
    "running": "busy",
    "queued": "calm",
    "waiting": "warn",
    "skipped": "calm",
    "deferred": "warn",
    "cancelled": "calm",
    "failed": "bad",
    "died": "bad",
}
NOTE = 140
"""Characters of an error in a table; all of it is on the run's page."""


@dataclass(frozen=True)
class Fact:
    """One line of a card."""

    label: str
    value: str
    note: str = ""
    tone: str = ""
    title: str = ""


@dataclass(frozen=True)
class Bar:
    """A run that is still to end; `percent` is None where nobody knows how far it is."""

    run: str
    what: str
    doing: str
    percent: int | None


def number(figures: Any, *names: str) -> float | None:
    """The first of these figures that is there and a number; also where it stands one level deeper (the guard's)."""
    if not isinstance(figures, dict):
        return None
    for level in (figures, *(each for each in figures.values() if isinstance(each, dict))):
        for name in names:
            value = level.get(name)
            if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
                return float(value)
    return None


def bar(run: Record) -> Bar:
    progress = run.get("progress") or {}
    done, total = number(progress, "done", "bytes", "keys"), number(progress, "total", "total_keys")
    percent = min(int(done / total * 100), 100) if done is not None and total else None
    doing = str(progress.get("phase") or run.state) if run.state == "running" else run.state
    if run.state == "waiting":
        doing = cut(note(run)) or "waiting"
    if percent is not None and "bytes" in progress:
        doing += f", {size(done)} of about {size(total)}"
    return Bar(run.id, bare(run.get("task", "")).capitalize(), doing, percent)


def note(run: Record) -> str:
    if run.unreadable:
        return f"unreadable: {', '.join(run.unreadable)}"
    error = run.get("error") or {}
    warnings = "; ".join(str(each) for each in run.get("warnings") or [])
    return str(error.get("message") or warnings or next(iter(figures_told(run)), ""))


def bare(task: object) -> str:
    return str(task).removeprefix("tasks.")


def sentence(words: str) -> str:
    """Errors and judgements begin small and have no stop."""
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"


def cut(text: str) -> str:
    return text if len(text) <= NOTE else f"{text[: NOTE - 1]}…"


def count(number: int | None) -> str:
    return "-" if number is None else f"{number:,}"


def milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"

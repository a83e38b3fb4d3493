"""Charts as inline SVG, drawn here: no script draws them, and a screen reader is told the same in a sentence. Pure.

What is drawn has no text: a label inside a picture that stretches would stretch with it. The labels are the page's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

from tornado.escape import xhtml_escape

from tasks.status.series import Point
from tasks.words import seconds, size

__all__ = ["Chart", "Line", "chart", "phase_bar", "sparkline"]

WIDTH, HEIGHT = 600, 160
SPARK_WIDTH, SPARK_HEIGHT = 240, 48
GAP = 3.5
"""A line is broken where two backups lie further apart than so many times the usual."""
DOTTED = 80
"""Points up to which each has a mark that tells its value."""
LEAST = 1e-6
"""What is smaller is drawn as nothing."""
Tell = Callable[[float | None], str]


@dataclass(frozen=True)
class Line:
    """One line of a chart, and the kind it is drawn as: 1 or 2."""

    title: str
    points: Sequence[Point]
    kind: int = 1


@dataclass(frozen=True)
class Chart:
    """A chart ready for the page.

    Attributes:
        svg: safe markup; empty where there is nothing to draw.
        top, middle: labels of the upper edge and of the line halfway; the lower edge is zero.
        now: the newest value in words.
        summary: all of it in a sentence.
    """

    title: str
    lines: tuple[Line, ...]
    svg: str
    top: str
    middle: str
    now: str
    summary: str


def chart(title: str, lines: Sequence[Line], since: datetime, until: datetime, tell: Tell) -> Chart:
    """Lines over a span of time, from zero up.

    Args:
        tell: a value in words.
    """
    values = [point.value for line in lines for point in line.points]
    if not values:
        return Chart(title, tuple(lines), "", "", "", "", f"{title}: nothing to show in this time")
    top = _ceiling(max(values), tell)
    area = _Area(since, until, 0.0, top, WIDTH, HEIGHT)
    newest = next(line.points[-1] for line in lines if line.points)
    summary = f"{title}: from {tell(min(values))} to {tell(max(values))}, now {tell(newest.value)}"
    drawn = "".join(_drawn(line, area, tell) for line in lines if line.points)
    svg, edges = _svg(area, drawn, summary), (_label(top, tell), _label(top / 2, tell))
    return Chart(title, tuple(lines), svg, *edges, tell(newest.value), summary)


def sparkline(points: Sequence[Point], summary: str) -> str:
    """A small line without axes, its ups and downs drawn as large as the room allows."""
    if len(points) < 2:
        return ""
    values = [point.value for point in points]
    low, high = min(values), max(values)
    pad = (high - low) * 0.15 or high * 0.1 or 1.0
    area = _Area(points[0].at, points[-1].at, low - pad, high + pad, SPARK_WIDTH, SPARK_HEIGHT)
    return _svg(area, _drawn(Line("", points), area, None), summary)


def phase_bar(phases: Sequence[tuple[str, float]]) -> str:
    """A run's phases as parts of one bar, in their order."""
    total = sum(took for _, took in phases)
    if total <= 0:
        return ""
    parts, at = [], 0.0
    for number, (name, took) in enumerate(phases):
        width = took / total * WIDTH
        title = f"<title>{xhtml_escape(name)}: {seconds(took)}</title>"
        kind = f"rk-phase rk-phase-{number % 6 + 1}"
        parts.append(f'<rect class="{kind}" x="{at:.1f}" width="{max(width, 0.5):.1f}" height="24">{title}</rect>')
        at += width
    summary = xhtml_escape(", ".join(f"{name} {seconds(took)}" for name, took in phases))
    return (
        f'<svg class="rk-phases" viewBox="0 0 {WIDTH} 24" preserveAspectRatio="none" role="img" '
        f'aria-label="{summary}">{"".join(parts)}</svg>'
    )


# -- drawing ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Area:
    since: datetime
    until: datetime
    low: float
    high: float
    width: int
    height: int

    def place(self, point: Point) -> tuple[float, float]:
        span = (self.until - self.since) / timedelta(seconds=1) or 1.0
        x = (point.at - self.since) / timedelta(seconds=1) / span * self.width
        y = self.height - (point.value - self.low) / (self.high - self.low) * self.height
        return round(x, 1), round(y, 1)


def _svg(area: _Area, drawn: str, summary: str) -> str:
    return (
        f'<svg viewBox="0 0 {area.width} {area.height}" preserveAspectRatio="none" role="img" '
        f'aria-label="{xhtml_escape(summary)}">{drawn}</svg>'
    )


def _drawn(line: Line, area: _Area, tell: Tell | None) -> str:
    drawn = []
    for piece in _pieces(line.points):
        places = [area.place(point) for point in piece]
        path = "M" + "L".join(f"{x} {y}" for x, y in places)
        if line.kind == 1 and len(places) > 1:
            floor = f"L{places[-1][0]} {area.height}L{places[0][0]} {area.height}Z"
            drawn.append(f'<path class="rk-area" d="{path}{floor}"/>')
        drawn.append(f'<path class="rk-line rk-line-{line.kind}" d="{path}"/>')
    marked = line.points if tell and len(line.points) <= DOTTED else []
    drawn += [_mark(line, point, area, tell) for point in marked if tell]
    return "".join(drawn)


def _mark(line: Line, point: Point, area: _Area, tell: Tell) -> str:
    """A line without length and with round ends is a dot that no stretching spoils."""
    x, y = area.place(point)
    title = f"{line.title} {tell(point.value)}, {point.at:%Y-%m-%d %H:%M}Z"
    return f'<path class="rk-dot rk-dot-{line.kind}" d="M{x} {y}h0"><title>{xhtml_escape(title)}</title></path>'


def _pieces(points: Sequence[Point]) -> list[list[Point]]:
    """The points, apart where backups were missing."""
    steps = [(after.at - before.at).total_seconds() for before, after in pairwise(points)]
    usual = median(steps) if steps else 0.0
    pieces = [[points[0]]]
    for point, step in zip(points[1:], steps, strict=True):
        if step > usual * GAP:
            pieces.append([])
        pieces[-1].append(point)
    return pieces


def _label(value: float, tell: Tell) -> str:
    return tell(value).replace(".0 ", " ")


def _ceiling(value: float, tell: Tell) -> float:
    """The next round number above, so that the labels are short: binary steps for sizes, decimal ones for the rest."""
    if value < LEAST:
        return 1.0
    base = 1024.0 ** math.floor(math.log(value, 1024)) if tell is size and value >= 1 else 1.0
    scaled = value * 1.05 / base
    decade = 10.0 ** math.floor(math.log10(scaled))
    return next(step * decade for step in (1, 2, 4, 6, 8, 10) if step * decade >= scaled) * base

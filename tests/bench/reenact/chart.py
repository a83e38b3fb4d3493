"""One picture of both acts: the same axes, side by side. Plain SVG, made here, since a few panels need no library."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from tests.bench.reenact.watching import Act, Second

__all__ = ["chart"]

WIDTH, HEIGHT, LEFT, TOP, GAP = 430, 120, 70, 70, 46
INK, PALE, LINES = "#24292f", "#d0d7de", ("#b5452c", "#1f6fb2")
SAVING, REWRITING = "#f3d9a4", "#cfe3d2"


@dataclass(frozen=True)
class Panel:
    """
    Attributes:
        value: of a second, above 0 where the scale is by powers of ten.
        limit: a line across, and what it says.
    """

    title: str
    value: Callable[[Second], float]
    by_tens: bool = False
    limit: tuple[float, str] | None = None


def chart(acts: Sequence[Act], objective: float, bound: int) -> str:
    """The picture; ``objective`` is the age of a backup in seconds, ``bound`` in bytes, 0 where there was none."""
    panels = (
        Panel("p99 of each second, ms", lambda second: second.felt.p99, by_tens=True),
        Panel("worst of each second, ms", lambda second: second.felt.worst, by_tens=True),
        Panel("age of the newest backup in the store, s", lambda second: second.age, limit=(objective, "objective")),
        Panel(
            "the data, MB",
            lambda second: second.data / 1e6,
            limit=(bound / 1e6, "all the memory there is") if bound else None,
        ),
        Panel("swapped out, MB", lambda second: second.swapped / 1e6),
    )
    height = TOP + len(panels) * (HEIGHT + GAP) + 20
    width = 2 * (LEFT + WIDTH) + 30
    style = "font: 12px system-ui, sans-serif"
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" style="{style}" fill="{INK}">']
    parts.append(f'<rect width="{width}" height="{height}" fill="#ffffff"/>')
    for column, act in enumerate(acts):
        x = LEFT + column * (LEFT + WIDTH)
        parts.append(f'<text x="{x}" y="26" font-size="16" font-weight="600">{escape(act.name)}</text>')
        parts += _legend(x)
        for row, panel in enumerate(panels):
            top = _top(panel, acts)
            parts += _drawn(panel, act, x, TOP + row * (HEIGHT + GAP), top, LINES[column])
    return "\n".join([*parts, "</svg>\n"])


def _legend(x: float) -> Iterable[str]:
    for at, colour, words in ((0, SAVING, "a save's child runs"), (150, REWRITING, "an AOF rewrite's child runs")):
        yield f'<rect x="{x + at}" y="36" width="12" height="12" fill="{colour}"/>'
        yield f'<text x="{x + at + 18}" y="46">{words}</text>'


def _top(panel: Panel, acts: Sequence[Act]) -> float:
    """The end of the scale, for both."""
    seen = [panel.value(second) for act in acts for second in act.seconds]
    highest = max([value for value in seen if math.isfinite(value)] + ([panel.limit[0]] if panel.limit else []))
    return 10 ** math.ceil(math.log10(max(highest, 1))) if panel.by_tens else max(highest * 1.08, 1)


def _drawn(panel: Panel, act: Act, x: float, y: float, top: float, colour: str) -> Iterable[str]:
    seconds = len(act.seconds)

    def across(at: float) -> float:
        return x + WIDTH * at / max(seconds, 1)

    def up(value: float) -> float:
        scale = _tens if panel.by_tens else float
        return y + HEIGHT * (1 - scale(value) / scale(top))

    yield f'<text x="{x}" y="{y - 6}">{escape(panel.title)}</text>'
    for second in act.seconds:
        if second.saving or second.rewriting:
            shade = SAVING if second.saving else REWRITING
            place = f'x="{across(second.at):.1f}" y="{y}" width="{WIDTH / seconds:.2f}" height="{HEIGHT}"'
            yield f'<rect {place} fill="{shade}"/>'
    for tick in _ticks(panel, top):
        yield f'<path d="M{x} {up(tick):.1f}h{WIDTH}" stroke="{PALE}" stroke-width="0.7"/>'
        yield f'<text x="{x - 6}" y="{up(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
    if panel.limit is not None:
        yield f'<path d="M{x} {up(panel.limit[0]):.1f}h{WIDTH}" stroke="{INK}" stroke-dasharray="5 4"/>'
        yield f'<text x="{x + WIDTH}" y="{up(panel.limit[0]) - 4:.1f}" text-anchor="end">{panel.limit[1]}</text>'
    points = [(second.at, panel.value(second)) for second in act.seconds]
    path = " ".join(f"{across(at):.1f},{up(value):.1f}" for at, value in points if math.isfinite(value))
    yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.4"/>'
    for at in range(0, seconds + 1, 60):
        yield f'<text x="{across(at):.1f}" y="{y + HEIGHT + 15}" text-anchor="middle">{at} s</text>'


def _tens(value: float) -> float:
    """Powers of ten above a tenth."""
    return math.log10(max(value, 0.1)) + 1


def _ticks(panel: Panel, top: float) -> list[float]:
    if panel.by_tens:
        return [10.0**power for power in range(-1, round(math.log10(top)) + 1)]
    step = 10 ** math.floor(math.log10(top))
    step = step / 2 if top / step < 3 else step
    return [step * number for number in range(int(top / step) + 1)]

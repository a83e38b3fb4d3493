"""Charts: what is drawn, where it is broken, and what somebody hears who cannot see it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.dashboard.chart import Line, chart, phase_bar, sparkline
from tasks.status.series import Point
from tasks.words import seconds, size

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SINCE = NOON - timedelta(hours=48)
EVIL = '"><script>alert(1)</script>'


def points(*values: float, hours: float = 1.0) -> list[Point]:
    first = NOON - timedelta(hours=hours) * (len(values) - 1)
    return [Point(first + timedelta(hours=hours) * number, value) for number, value in enumerate(values)]


def lines_in(svg: str) -> int:
    return len(re.findall('class="rk-line rk-line-1"', svg))


def test_a_chart_says_in_a_sentence_what_it_draws() -> None:
    made = chart("Size", [Line("stored", points(2**20, 3 * 2**20, 2 * 2**20))], SINCE, NOON, size)
    assert made.summary == "Size: from 1.0 MiB to 3.0 MiB, now 2.0 MiB"
    assert made.now == "2.0 MiB"
    assert f'aria-label="{made.summary}"' in made.svg
    ElementTree.fromstring(made.svg)


@pytest.mark.parametrize(
    ("highest", "tell", "labels"),
    [(9.0, seconds, ("10 s", "5 s")), (3 * 2**30, size, ("4 GiB", "2 GiB")), (0.0, seconds, ("1 s", "500 ms"))],
)
def test_its_edges_are_round_numbers(highest: float, tell: object, labels: tuple[str, str]) -> None:
    made = chart("x", [Line("x", points(highest))], SINCE, NOON, tell)  # type: ignore[arg-type]
    assert (made.top, made.middle) == labels


def test_a_line_is_broken_where_backups_were_missing() -> None:
    whole, cut = points(*[5.0] * 12), points(*[5.0] * 12)
    del cut[4:9]
    assert lines_in(chart("x", [Line("x", whole)], SINCE, NOON, seconds).svg) == 1
    assert lines_in(chart("x", [Line("x", cut)], SINCE, NOON, seconds).svg) == 2


def test_without_anything_to_draw_it_says_so() -> None:
    made = chart("Fork", [Line("fork", [])], SINCE, NOON, seconds)
    assert (made.svg, made.summary) == ("", "Fork: nothing to show in this time")
    assert sparkline(points(1.0), "one") == ""


def test_names_are_text_wherever_they_come_from() -> None:
    drawn = chart(EVIL, [Line(EVIL, points(1, 2))], SINCE, NOON, seconds).svg
    for svg in (drawn, phase_bar([(EVIL, 1.0)]), sparkline(points(1, 2), EVIL)):
        assert "<script" not in svg
        ElementTree.fromstring(svg)


@example([5e-324])
@given(st.lists(st.floats(min_value=0, max_value=1e15), min_size=1, max_size=20))
def test_every_point_lies_inside(values: list[float]) -> None:
    made = chart("x", [Line("x", points(*values))], SINCE, NOON, seconds)
    for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", made.svg):
        assert 0 <= float(x) <= 600
        assert 0 <= float(y) <= 160


def test_the_parts_of_a_bar_are_as_wide_as_they_were_long() -> None:
    found = re.findall(r'width="([\d.]+)" height="24"', phase_bar([("wait", 1.0), ("ship", 3.0)]))
    assert found == ["150.0", "450.0"]
    assert phase_bar([("wait", 0.0)]) == ""

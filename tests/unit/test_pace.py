"""How fast a server may be worked on, by its answer times alone."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.pace import LARGEST, SMALLEST, Throttle

ALLOWED = 0.005


def noted(*latencies: float, max_latency: float = ALLOWED) -> Throttle:
    throttle = Throttle(max_latency)
    for latency in latencies:
        throttle.note(latency)
    return throttle


def test_batches_grow_while_the_server_answers_at_once() -> None:
    assert noted(0.0001).size > Throttle(ALLOWED).size
    assert noted(*[0.0001] * 50).size == LARGEST


def test_batches_settle_where_the_answer_takes_a_tenth_of_what_is_allowed() -> None:
    throttle = Throttle(ALLOWED)
    for _ in range(100):
        throttle.note(throttle.size * 5e-6)  # five microseconds a key
    assert 0.8 <= throttle.size * 5e-6 / (ALLOWED / 10) <= 1.2
    assert throttle.rest == 0


@pytest.mark.parametrize("way", [0.0005, 0.003, 0.02])
def test_a_server_that_is_far_away_is_not_a_slow_one(way: float) -> None:
    throttle = Throttle(ALLOWED)
    for _ in range(100):
        throttle.note_idle(way)
        throttle.note(way + throttle.size * 5e-6)
    assert 0.8 <= throttle.size * 5e-6 / (ALLOWED / 10) <= 1.2
    assert throttle.rest == 0


def test_one_slow_answer_costs_no_more_than_half() -> None:
    before = noted(*[0.0005] * 20)
    size = before.size
    before.note(0.02)
    assert size / 2 - 1 <= before.size < size
    assert before.rest == 0.02
    assert not before.halted


def test_answers_above_the_allowed_latency_make_it_rest_longer_and_longer() -> None:
    rests = [noted(*[0.006] * times).rest for times in (1, 2, 3, 4)]
    assert rests == [0.006, 0.012, 0.024, 0.048]
    assert noted(*[0.006] * 4, *[0.0005] * 12).rest == 0


def test_ten_times_the_allowed_latency_halts_it_until_the_server_is_calm_again() -> None:
    throttle = noted(0.051)
    assert throttle.halted
    for latency in (0.001, 0.001, 0.02, 0.001, 0.001):
        throttle.note_idle(latency)
        assert throttle.halted
    throttle.note_idle(0.001)
    assert not throttle.halted


def test_where_nobody_else_asks_nothing_slows_it_down() -> None:
    throttle = noted(*[1.0] * 30, max_latency=math.inf)
    assert (throttle.size, throttle.rest, throttle.halted) == (LARGEST, 0.0, False)


@given(st.lists(st.floats(0, 10), max_size=50))
def test_whatever_the_answer_times_batches_and_rests_have_their_bounds(latencies: list[float]) -> None:
    throttle = noted(*latencies)
    assert SMALLEST <= throttle.size <= LARGEST
    assert 0 <= throttle.rest <= 1

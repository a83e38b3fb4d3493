"""What a sample says of the whole: its bounds hold as often as they say."""

from __future__ import annotations

import math
import random

from hypothesis import given
from hypothesis import strategies as st

from tasks.estimate import Estimate, share, total

DRAWS = st.integers(0, 10_000)


@given(DRAWS, st.data())
def test_a_share_lies_between_its_bounds_and_they_between_nothing_and_all(draws: int, data: st.DataObject) -> None:
    found = share(data.draw(st.integers(0, draws)), draws)
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(st.integers(1, 1000))
def test_what_was_never_seen_may_be_there_all_the_same(draws: int) -> None:
    assert share(0, draws).high > 0
    assert share(draws, draws).low < 1
    assert math.isinf(total([], draws, 1_000_000).high)


@given(st.lists(st.integers(0, 10**9), max_size=50), st.integers(50, 100), st.integers(100, 10**7))
def test_a_total_lies_between_its_bounds(values: list[int], draws: int, population: int) -> None:
    found = total(values, draws, population)
    assert 0 <= found.low <= found.value <= found.high


def test_the_bounds_of_a_share_hold_in_about_95_of_100_samples() -> None:
    rng = random.Random(5)
    for truth in (0.01, 0.2, 0.5):
        held = 0
        for _ in range(1000):
            found = share(sum(rng.random() < truth for _ in range(500)), 500)
            held += found.low <= truth <= found.high
        assert 925 <= held <= 985, truth


def test_the_bounds_of_a_total_hold_in_about_95_of_100_samples() -> None:
    rng = random.Random(5)
    sizes = [rng.expovariate(1 / 300) if rng.random() < 0.3 else 0.0 for _ in range(20_000)]
    held = 0
    for _ in range(500):
        drawn = [each for each in rng.choices(sizes, k=1000) if each]
        found = total(drawn, 1000, len(sizes))
        held += found.low <= sum(sizes) <= found.high
    assert 455 <= held <= 495


def test_an_infinite_bound_is_said_as_null_in_json() -> None:
    assert Estimate(1.4, 0.6, math.inf).rounded() == {"value": 1, "low": 0, "high": None}

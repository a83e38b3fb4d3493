"""A sample told apart: every draw is in one group of each section, and the figures are those of the whole keyspace."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.facts import NEVER, KeyFacts, shown
from tasks.glob import Glob
from tasks.memory.groups import OTHER, ROWS, Group, biggest, by, freq_of, idle_of, prefixes, ttl_of
from tasks.memory.patterns import patterns
from tasks.memory.rules import freed, must_be_counted
from tasks.sample import Sample
from tasks.tidy.policy import Action, Policy, Rule

FACTS = st.builds(
    KeyFacts,
    database=st.just(0),
    key=st.binary(max_size=30),
    type=st.sampled_from(["string", "list"]),
    ttl=st.one_of(st.just(NEVER), st.floats(0, 1e8)),
    idle=st.one_of(st.none(), st.integers(0, 10**8)),
    freq=st.one_of(st.none(), st.integers(0, 255)),
    bytes=st.integers(1, 10**9),
)
SAMPLES = st.builds(
    lambda draws, exact: Sample(tuple(draws), {0: len(draws) * (1 if exact else 1000)}, exact),
    st.lists(FACTS, min_size=1, max_size=60),
    st.booleans(),
)


def told(groups: list[Group]) -> dict[str, tuple[int, int]]:
    return {group.name: (round(group.keys.value), round(group.bytes.value)) for group in groups}


@given(SAMPLES)
def test_every_section_adds_up_to_the_whole(sample: Sample) -> None:
    weight = sum(facts.bytes or 0 for facts in sample.draws) * sample.population / len(sample.draws)
    for groups in (prefixes(sample), ttl_of(sample), idle_of(sample), freq_of(sample)):
        assert sum(group.keys.value for group in groups) == pytest.approx(sample.population)
        assert sum(group.bytes.value for group in groups) == pytest.approx(weight)
        assert sum(group.share for group in groups) == pytest.approx(1)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=60))
def test_every_key_has_a_pattern_and_its_order_does_not_matter(keys: list[str]) -> None:
    found = dict(zip(keys, patterns(keys, [1] * len(keys)), strict=True))
    assert found == dict(zip(keys[::-1], patterns(keys[::-1], [1] * len(keys)), strict=True))


def test_ids_become_stars_and_names_stay() -> None:
    keys = [f"app:user:{at}:{part}" for at in range(300) for part in ("cart", "seen")]
    keys += [f"view/{at:032x}.html" for at in range(400)]
    assert set(patterns(keys, [1] * len(keys))) == {"app:user:*:cart", "app:user:*:seen", "view/*.html"}


def test_a_single_key_that_weighs_much_stands_by_its_name() -> None:
    keys = [f"item:{at}" for at in range(500)] + ["item:all"]
    assert patterns(keys, [1] * 500 + [5000])[-1] == "item:all"
    assert patterns(keys, [1] * 501)[-1] == "item:*"


def test_the_lightest_of_many_prefixes_share_a_row() -> None:
    draws = [KeyFacts(0, b"p%d_x:%d" % (group, at), bytes=100 + group) for group in range(30) for at in range(20)]
    found = prefixes(Sample(tuple(draws), {0: 600}, exact=True))
    assert len(found) == ROWS + 1
    assert found[0].name == "p29_x:*"
    assert (found[-1].name, found[-1].keys.value) == (OTHER, 600 - ROWS * 20)


def test_times_stand_in_their_order_and_what_is_not_known_is_said() -> None:
    draws = [
        KeyFacts(0, b"%d" % at, ttl=ttl, idle=idle, bytes=1)
        for at, (ttl, idle) in enumerate([(NEVER, None), (10, 100), (86_401, 3600), (10**9, 10**8)])
    ]
    sample = Sample(tuple(draws), {0: 4}, exact=True)
    assert list(told(ttl_of(sample))) == ["within an hour", "within a week", "later", "never"]
    assert list(told(idle_of(sample))) == ["used within an hour", "within a day", "longer ago", "not known"]


def test_figures_are_counted_where_all_was_looked_at_and_else_estimated() -> None:
    draws = (KeyFacts(0, b"a", type="string", bytes=10), KeyFacts(0, b"b", type="list", bytes=30))
    exact = by(Sample(draws, {0: 2}, exact=True), ["string", "list"])
    assert told(exact) == {"list": (1, 30), "string": (1, 10)}
    assert all(group.keys.low == group.keys.high for group in exact)
    drawn = by(Sample(draws, {0: 2000}, exact=False), ["string", "list"])
    assert told(drawn) == {"list": (1000, 30_000), "string": (1000, 10_000)}
    assert all(group.keys.low < group.keys.value < group.keys.high for group in drawn)


def test_a_key_that_was_drawn_twice_is_one_of_the_biggest_once() -> None:
    draws = (KeyFacts(0, b"a", bytes=10), KeyFacts(0, b"b", bytes=30), KeyFacts(0, b"b", bytes=30))
    assert [facts.key for facts in biggest(Sample(draws, {0: 9}, exact=False))] == [b"b", b"a"]


@given(st.binary(max_size=40), st.binary(max_size=40))
def test_keys_are_shown_on_one_line_and_never_two_of_them_alike(one: bytes, other: bytes) -> None:
    assert shown(one).isprintable()
    assert (shown(one) == shown(other)) == (one == other)


# -- what tidy would free ----------------------------------------------------------------------------------------


def rule(name: str, match: str, kind: Any, amount: float = 0, **more: Any) -> Rule:
    return Rule(name, Glob(match), Action(kind, amount), **more)


def test_each_rule_tells_what_it_would_take_and_free_by_the_decision_that_tidy_makes() -> None:
    draws = (
        KeyFacts(0, b"a:1", type="string", bytes=100),
        KeyFacts(0, b"a:2", type="string", bytes=100),
        KeyFacts(0, b"feed:1", type="list", bytes=1000, elements=100),
        KeyFacts(0, b"feed:2", type="list", bytes=1000, elements=5),
        KeyFacts(0, b"z:1", type="zset", bytes=1000, elements=100),
        KeyFacts(0, b"kept:1", type="string", bytes=100),
    )
    rules = (
        rule("a", "a:*", "delete"),
        rule("never second", "a:2", "delete"),
        rule("feeds", "feed:*", "trim_to", 10, elements=11),
        rule("old scores", "z:*", "drop_scores_older_than", 60),
        rule("kept", "*", "expire_in", 60),
    )
    found = freed(Sample(draws, {0: 6}, exact=True), Policy((Glob("kept:*"),), rules), now=0)
    assert told(found) == {
        "a": (2, 200), "never second": (0, 0), "feeds": (1, 900), "old scores": (1, 0), "kept": (1, 1000)
    }
    assert math.isinf(found[3].bytes.high), "what goes of a key is not known without looking into it"
    assert found[2].share == pytest.approx(900 / 3300)


def test_elements_are_counted_only_where_a_rule_asks_and_idle_time_is_not_at_stake() -> None:
    counts = Policy((), (rule("feeds", "feed:*", "trim_to", 10, type="list", elements=11),))
    idles = Policy((), (rule("idle", "feed:*", "delete", idle=60, elements=5),))
    feed = KeyFacts(0, b"feed:1", type="list")
    assert must_be_counted(counts, feed)
    assert not must_be_counted(counts, KeyFacts(0, b"feed:1", type="set"))
    assert not must_be_counted(counts, KeyFacts(0, b"other", type="list"))
    assert not must_be_counted(idles, feed)

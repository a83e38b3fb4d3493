"""The policy alone: which keys go, and why; for any facts, rules and moment."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rig.example_toml import EXAMPLE, read

from tasks.facts import NEEDS, NEVER, KeyFacts
from tasks.glob import Glob
from tasks.settings.rules import Rule as Written
from tasks.settings.rules import Tidy
from tasks.tidy.policy import IDLE_LIMIT, Action, Policy, Rule, Stamp, compile_policy, decide

DAY = 86_400.0
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()


def rule(**written: Any) -> Rule:
    """One rule as the settings have it."""
    table = {"name": "r", "match": "a:*", "action": "delete"} | written
    return compile_policy(Tidy(rule=[Written.model_validate(table)]), "redkeep").rules[0]


def of(*rules: Rule, protect: tuple[str, ...] = ()) -> Policy:
    return Policy(tuple(map(Glob, protect)), rules)


def key(name: str | bytes = "a:1", **facts: Any) -> KeyFacts:
    return KeyFacts(0, name.encode() if isinstance(name, str) else name, **facts)


# -- for any rules and keys -------------------------------------------------------------------------------------------

SMALL = st.integers(0, 5)
GLOBS = st.sampled_from(["a*", "a:?", "*", "b[12]*", "*:1"]).map(Glob)
STAMPS = st.builds(
    Stamp,
    expression=st.just(re.compile(rb":(\d{6})$")),
    format=st.just("%Y%m"),
    span=st.just(timedelta(days=31)),
    older_than=st.sampled_from([0.0, 900 * DAY]),
)
RULES = st.builds(
    Rule,
    name=st.sampled_from(["one", "two"]),
    glob=GLOBS,
    action=st.sampled_from([Action("delete"), Action("expire_in", 3), Action("trim_to", 2)]),
    type=st.none() | st.sampled_from(["string", "list"]),
    ttl=st.none() | st.sampled_from([NEVER, 3.0]),
    idle=st.none() | SMALL,
    freq=st.none() | SMALL,
    bytes=st.none() | SMALL,
    elements=st.none() | SMALL,
    stamp=st.none() | STAMPS,
    databases=st.none() | st.frozensets(st.integers(0, 2), min_size=1),
)
FACTS = st.builds(
    KeyFacts,
    database=st.integers(0, 2),
    key=st.sampled_from([b"a:1", b"b1", b"a:202401", b"b2:202611", b"\xff", b"a:209999", b"redkeep:run:1", b"keep:1"]),
    type=st.none() | st.sampled_from(["string", "list", "module"]),
    ttl=st.none() | st.sampled_from([NEVER, 2.0, 3.0, 9.0]),
    idle=st.none() | st.sampled_from([0, 3, 5, IDLE_LIMIT, 2**24 - 1]),
    freq=st.none() | SMALL,
    bytes=st.none() | SMALL,
    elements=st.none() | SMALL,
)


def misses(facts: KeyFacts, wanted: Rule) -> bool:
    """Whether some condition of the rule does not hold, said once more in other words."""
    bounds = {fact: (getattr(wanted, fact), NEVER) for fact in ("ttl", "bytes", "elements")}
    bounds |= {"idle": (wanted.idle, IDLE_LIMIT - 1), "freq": (None if wanted.freq is None else 0, wanted.freq)}
    for fact, (low, high) in bounds.items():
        value = getattr(facts, fact)
        if low is not None and (value is None or not low <= value <= high):
            return True
    if wanted.stamp is not None:
        found = re.search(rb":(2024|2026)(\d\d)$", facts.key)
        begun = datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC).timestamp() if found else NEVER
        if NOW - begun - 31 * DAY < wanted.stamp.older_than:
            return True
    elsewhere = wanted.databases is not None and facts.database not in wanted.databases
    return elsewhere or wanted.type not in (None, facts.type) or not wanted.glob.matches(facts.key)


@given(FACTS, st.lists(RULES, max_size=4))
def test_the_first_rule_decides_whose_every_condition_holds_and_no_other(facts: KeyFacts, rules: list[Rule]) -> None:
    numbered = [replace(each, name=str(number)) for number, each in enumerate(rules)]
    fitting = [each for each in numbered if not misses(facts, each)]
    verdict = decide(facts, of(*numbered), NOW)
    assert verdict.rule == (fitting[0].name if fitting else "")
    assert verdict.action == (fitting[0].action if fitting else None)
    assert verdict.reason


@given(FACTS, st.lists(RULES, max_size=4))
def test_what_is_protected_is_never_picked(facts: KeyFacts, rules: list[Rule]) -> None:
    verdict = decide(facts, of(*rules, protect=("keep:*", "redkeep:*", "a:1")), NOW)
    if facts.key in (b"keep:1", b"redkeep:run:1", b"a:1"):
        assert (verdict.action, verdict.reason) == (None, "it is protected")


@given(RULES.filter(lambda each: bool(each.needs)), FACTS)
def test_nothing_goes_for_want_of_knowledge(wanted: Rule, facts: KeyFacts) -> None:
    for fact in wanted.needs:
        unknown = facts._replace(**{fact: None})
        assert decide(unknown, of(wanted), NOW).action is None
    assert wanted.needs <= NEEDS


# -- one thing at a time ----------------------------------------------------------------------------------------------


def test_a_verdict_says_why() -> None:
    wanted = rule(type="string", idle="30d", ttl="none", size={"bytes": "1KiB"})
    facts = key(type="string", idle=45 * 86_400, ttl=NEVER, bytes=2048)
    verdict = decide(facts, of(wanted), NOW)
    assert verdict.reason == "it is called a:*, is a string, never expires, was not used for 45 days, takes 2,048 bytes"
    assert (verdict.removes, verdict.rule, verdict.keep_copy) == (True, "r", False)


def test_idle_times_of_a_server_whose_clock_was_set_back_are_not_believed() -> None:
    assert decide(key(idle=2**24 - 3600), of(rule(idle="30d")), NOW).action is None
    assert decide(key(idle=31 * 86_400), of(rule(idle="30d")), NOW).removes


@pytest.mark.parametrize(
    ("name", "form", "age"),
    [
        ("a:20261122", "%Y%m%d", 0.5),
        ("a:20261123", "%Y%m%d", -0.5),
        ("a:2026-10", "%Y-%m", 22.5),
        ("a:20261123T10", "%Y%m%dT%H", 1 / 24),
    ],
)
def test_a_stamp_is_as_old_as_the_end_of_the_time_that_it_stands_for(name: str, form: str, age: float) -> None:
    wanted = rule(stamp={"regex": ":(.+)$", "format": form, "older_than": "0d"})
    assert wanted.stamp is not None
    found = wanted.stamp.age(name.encode(), NOW)
    assert found is not None
    assert found / DAY == pytest.approx(age, abs=0.01)


@pytest.mark.parametrize("name", ["a:20261399", "a:x", b"a:\xff\xff", "a:" + 300 * "x" + "20200101", "a:00000000"])
def test_a_stamp_that_cannot_be_read_keeps_its_key(name: str | bytes) -> None:
    wanted = rule(stamp={"regex": ":(.*)$", "format": "%Y%m%d", "older_than": "1d"})
    assert decide(key(name), of(wanted), NOW).action is None


def test_an_expiry_is_only_ever_brought_nearer() -> None:
    wanted = rule(action={"expire_in": "2h"})
    assert decide(key(ttl=NEVER), of(wanted), NOW).removes
    assert decide(key(ttl=3 * 3600.0), of(wanted), NOW).removes
    assert not decide(key(ttl=3600.0), of(wanted), NOW).removes


def test_what_is_short_enough_is_not_trimmed() -> None:
    wanted = rule(type="list", action={"trim_to": 10})
    assert decide(key(type="list", elements=10), of(wanted), NOW).action is None
    verdict = decide(key(type="list", elements=11), of(wanted), NOW)
    assert (verdict.action, verdict.removes) == (Action("trim_to", 10), False)


def test_the_promised_settings_compile_and_protect_redkeeps_own_keys() -> None:
    settings = read(EXAMPLE)
    tidy = settings.target[0].tidy
    assert tidy is not None
    policy = compile_policy(tidy, settings.control.namespace)
    assert decide(key("redkeep:lease:x", ttl=NEVER), policy, NOW).reason == "it is protected"
    assert decide(key("config:x"), policy, NOW).reason == "it is protected"
    assert decide(key("metric:a:20200101"), policy, NOW).keep_copy
    assert policy.needs == {"type", "idle", "elements", "ttl"}
    reply = "app:7d83.reply.celery.pidbox"
    assert decide(key(reply, type="list", idle=7200), policy, NOW).rule == "preset celery: reply queues"
    assert decide(key("celery-task-meta-1", ttl=NEVER), policy, NOW).action == Action("expire_in", DAY)

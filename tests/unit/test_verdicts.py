"""Verdicts merge in any order to the same, and garbage counts as none."""

from __future__ import annotations

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import StoreFailed, VerdictInvalid, VerdictTooNew
from tasks.verdicts import Statement, Verdict, merged, statement

STATEMENTS = st.builds(
    Statement,
    at=st.sampled_from(["2026-11-23T11:07:00.000000Z", "2026-11-23T11:07:00.000001Z", "2026-11-24T00:00:00.000000Z"]),
    host=st.sampled_from(["a", "b"]),
    ok=st.booleans(),
)
PARTS = st.dictionaries(st.sampled_from(["verified", "drilled", "settled", "of_a_later_redkeep"]), STATEMENTS)


def verdict(parts: dict[str, Statement]) -> Verdict:
    told = {name: each.model_dump() for name, each in parts.items()}
    return Verdict.model_validate({"id": "x", "target": "main"} | told)


VERDICTS = PARTS.map(verdict)


@given(st.lists(VERDICTS, min_size=1, max_size=4))
def test_merging_does_not_depend_on_order_repetition_or_grouping(some: list[Verdict]) -> None:
    whole = merged(some).body()
    for order in itertools.permutations(some):
        assert merged(order).body() == whole
    assert merged([*some, *some]).body() == whole
    assert merged([merged(some[:2]), *some[1:]]).body() == whole
    assert Verdict.read(whole).body() == whole


def test_the_later_statement_of_a_kind_stands_and_the_last_look_decides() -> None:
    good, bad = statement(run="1"), statement(run="2", error=StoreFailed("x"))
    first = Verdict(id="x", target="main", verified=good)
    second = Verdict(id="x", target="main", drilled=bad)
    both = merged([second, first])
    assert (first.good, second.failed, both.good, both.failed) == (True, True, False, True)
    assert both.last == bad
    assert Verdict(id="x", target="main").last is None


@pytest.mark.parametrize(
    "garbage",
    [b"", b"[]", b"{}", b"\xff", b'{"format_version": "1"}', b'{"format_version": 1}', b"[" * 100_000, b"null"],
    ids=lambda body: repr(body[:20]),
)
def test_garbage_is_told_as_such(garbage: bytes) -> None:
    with pytest.raises(VerdictInvalid):
        Verdict.read(garbage)


def test_a_newer_format_is_told_as_such() -> None:
    with pytest.raises(VerdictTooNew):
        Verdict.read(json.dumps({"format_version": 2}).encode())

"""Looks side by side: none holds up the others, and none is waited for without end."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tasks.check.finding import Finding
from tasks.check.together import Look, together
from tasks.errors import StoreFull


def test_findings_come_in_the_order_of_the_looks_though_the_last_ends_first() -> None:
    last = threading.Event()

    def waits() -> Iterator[Finding]:
        assert last.wait(20)
        yield Finding("first", "ok", "a")

    def at_once() -> Iterator[Finding]:
        yield Finding("second", "ok", "b")
        last.set()

    assert [each.what for each in together([Look("x", waits, ""), Look("y", at_once, "")])] == ["first", "second"]


def test_one_that_hangs_is_given_up_and_said_so() -> None:
    never = threading.Event()

    def hangs() -> Iterator[Finding]:
        never.wait(20)
        yield Finding("late", "ok", "")

    found = list(together([Look("store", hangs, "Look after it.")], within=0.05))
    never.set()
    assert found == [Finding("store", "fail", "no answer within 0.05 s", "Look after it.")]


def test_what_was_found_before_an_error_stands() -> None:
    def breaks() -> Iterator[Finding]:
        yield Finding("store", "ok", "there")
        raise StoreFull("it is full", hint="Make room.")

    found = list(together([Look("store", breaks, "")]))
    assert found == [Finding("store", "ok", "there"), Finding("store", "fail", "it is full", "Make room.")]


def test_a_defect_is_raised_and_not_made_a_row() -> None:
    def breaks() -> Iterator[Finding]:
        yield from ()
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(together([Look("x", breaks, "")]))

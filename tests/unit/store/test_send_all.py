from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tasks.store.multipart import send_all
from tasks.store.parts import Buffers, Part


def parts(count: int, buffers: Buffers) -> Iterator[Part]:
    for number in range(1, count + 1):
        yield Part(number, buffers.take(1), 1)


def test_the_results_stand_in_the_order_of_the_parts_whatever_ended_first() -> None:
    second_done = threading.Event()

    def send(part: Part) -> int:
        if part.number == 1:
            assert second_done.wait(10)
        elif part.number == 2:
            second_done.set()
        return part.number

    buffers = Buffers()
    assert send_all(parts(5, buffers), send, buffers.give, 2) == [1, 2, 3, 4, 5]


def test_nothing_to_send_is_nothing_sent() -> None:
    buffers = Buffers()
    assert send_all(parts(0, buffers), lambda part: part.number, buffers.give, 2) == []


@pytest.mark.parametrize("concurrency", [1, 2, 4])
def test_no_more_buffers_exist_than_parts_under_way_and_one(concurrency: int) -> None:
    made: set[int] = set()
    kept: list[bytearray] = []
    buffers = Buffers()

    def counted() -> Iterator[Part]:
        for part in parts(50, buffers):
            kept.append(part.buffer)  # so that no id is used twice
            made.add(id(part.buffer))
            yield part

    send_all(counted(), lambda part: part.number, buffers.give, concurrency)
    assert len(made) <= concurrency + 1


def test_a_failure_is_raised_only_when_nothing_is_under_way_any_more() -> None:
    other, failed, ended = threading.Event(), threading.Event(), threading.Event()

    def send(part: Part) -> None:
        if part.number == 1:
            assert other.wait(10)
            failed.set()
            raise KeyError("first")
        other.set()
        assert failed.wait(10)
        ended.set()

    buffers = Buffers()
    with pytest.raises(KeyError, match="first"):
        send_all(parts(2, buffers), send, buffers.give, 2)
    assert ended.is_set()


def test_an_interrupt_from_the_source_waits_for_what_is_under_way() -> None:
    going, ended = threading.Event(), threading.Event()

    def send(_: Part) -> None:
        assert going.wait(10)
        ended.set()

    def interrupted() -> Iterator[Part]:
        yield Part(1, bytearray(1), 1)
        going.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        send_all(interrupted(), send, Buffers().give, 2)
    assert ended.is_set()

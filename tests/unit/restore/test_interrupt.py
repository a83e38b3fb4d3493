"""A signal that comes in the middle of a step that must not be cut does its work right after it."""

from __future__ import annotations

import signal
import threading

import pytest

from tasks.restore.interrupt import uninterrupted


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_comes_after_the_last_step(number: signal.Signals) -> None:
    steps: list[int] = []

    def come(*_: object) -> None:
        steps.append(-1)

    before = signal.signal(number, come)
    try:
        with uninterrupted():
            steps.append(1)
            signal.raise_signal(number)
            steps.append(2)
        assert steps == [1, 2, -1]
        assert signal.getsignal(number) is come
    finally:
        signal.signal(number, before)


def test_an_error_inside_is_raised_and_the_handlers_are_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="x"), uninterrupted():
        raise ValueError("x")
    assert signal.getsignal(signal.SIGINT) is before


def test_in_another_thread_there_is_nothing_to_hold_back() -> None:
    done: list[bool] = []

    def work() -> None:
        with uninterrupted():
            done.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]

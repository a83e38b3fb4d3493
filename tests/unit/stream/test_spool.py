"""The waiting rooms: order, bounds, errors, and nothing left behind."""

from __future__ import annotations

import os
import random
import resource
import threading
from collections.abc import Iterator

import pytest

from tasks.errors import SpoolFull
from tasks.stream.spool import ahead, spool

CHUNK = 10_000
NOISE = random.Random(2).randbytes(100 * CHUNK)
PATIENCE = 30
"""Seconds after which a test says that something hangs."""


class Upstream:
    """A source that knows how far it was read."""

    def __init__(self, failure: BaseException | None = None) -> None:
        self.given = 0
        self.done = threading.Event()
        self._failure = failure

    def __iter__(self) -> Iterator[bytes]:
        try:
            for start in range(0, len(NOISE), CHUNK):
                self.given += 1
                yield NOISE[start : start + CHUNK]
            if self._failure is not None:
                raise self._failure
        finally:
            self.done.set()


def readers() -> int:
    return sum(thread.name == "redkeep-reader" for thread in threading.enumerate())


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count


@pytest.mark.parametrize("memory", [0, 1, CHUNK, 5 * CHUNK + 1, len(NOISE), 1 << 30])
def test_the_upstream_ends_while_the_consumer_has_taken_one_chunk(memory: int) -> None:
    upstream = Upstream()
    stage = spool(iter(upstream), memory)
    first = next(stage)
    assert upstream.done.wait(PATIENCE)
    assert first + b"".join(stage) == NOISE


def test_what_went_to_disk_is_told_at_the_end() -> None:
    told: list[int] = []
    assert b"".join(spool(iter(Upstream()), 0, on_close=told.append)) == NOISE
    assert b"".join(spool(iter(Upstream()), len(NOISE), on_close=told.append)) == NOISE
    assert told == [len(NOISE), 0]


def test_what_fits_in_memory_never_touches_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    assert b"".join(spool(iter(Upstream()), len(NOISE))) == NOISE


def test_the_file_is_emptied_when_all_of_it_was_taken() -> None:
    turn = threading.Semaphore(1)

    def in_step() -> Iterator[bytes]:
        for chunk in Upstream():
            assert turn.acquire(timeout=PATIENCE)
            yield chunk

    taken = b""
    for chunk in spool(in_step(), 0, disk=CHUNK):
        taken += chunk
        turn.release()
    assert taken == NOISE


def test_a_file_past_its_bound_is_refused() -> None:
    upstream = Upstream()
    stage = spool(iter(upstream), 0, disk=CHUNK - 1)
    with pytest.raises(SpoolFull, match="bound"):
        next(stage)
    assert upstream.done.is_set()


def test_a_full_disk_is_called_that_and_leaves_nothing_open() -> None:
    before = descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20 * CHUNK + 7, hard))
    try:
        with pytest.raises(SpoolFull, match="cannot grow"):
            list(spool(iter([NOISE[: 30 * CHUNK]]), 0))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert descriptors() == before


def test_no_folder_for_the_file_is_called_a_full_spool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with pytest.raises(SpoolFull):
        list(spool(iter(Upstream()), 0))


@pytest.mark.parametrize("memory", [0, 5 * CHUNK, 1 << 30])
def test_a_failing_upstream_is_raised_in_place_of_the_end(memory: int) -> None:
    failure = ConnectionResetError("gone")
    taken = []
    with pytest.raises(ConnectionResetError) as caught:
        taken.extend(spool(iter(Upstream(failure)), memory))
    assert caught.value is failure
    assert NOISE.startswith(b"".join(taken))


@pytest.mark.parametrize("failure", [ValueError(), KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_nothing_that_an_upstream_raises_becomes_a_normal_end(failure: BaseException) -> None:
    for stage in (spool(iter(Upstream(failure)), 0), ahead(iter(Upstream(failure)), 3)):
        with pytest.raises(type(failure)):
            for _ in stage:
                pass


@pytest.mark.parametrize("room", ["spool in memory", "spool on disk", "ahead"])
def test_closing_early_leaves_no_thread_no_file_and_no_open_upstream(room: str) -> None:
    upstream = Upstream()
    before = descriptors(), readers()
    stage = ahead(iter(upstream), 1) if room == "ahead" else spool(iter(upstream), 1 << 30 if "memory" in room else 0)
    assert NOISE.startswith(next(stage))
    stage.close()  # type: ignore[attr-defined]
    assert upstream.done.is_set()
    assert (descriptors(), readers()) == before


def test_a_stage_that_was_never_begun_has_no_thread() -> None:
    before = readers()
    stages = [spool(iter(Upstream()), 0), ahead(iter(Upstream()), 1)]
    assert readers() == before
    del stages


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_reading_ahead_stays_within_its_depth(depth: int) -> None:
    upstream = Upstream()
    stage = ahead(iter(upstream), depth)
    for taken in range(1, 30):
        next(stage)
        assert upstream.given <= taken + depth + 1  # one more is in the reader's hand
    stage.close()  # type: ignore[attr-defined]
    assert upstream.given <= 29 + depth + 1


def test_reading_ahead_goes_on_while_the_consumer_works() -> None:
    upstream = Upstream()
    stage = ahead(iter(upstream), 100)
    first = next(stage)
    assert upstream.done.wait(PATIENCE)
    assert first + b"".join(stage) == NOISE


def test_a_thread_that_ended_normally_is_gone_after_the_end() -> None:
    before = readers()
    assert b"".join(ahead(iter(Upstream()), 3)) == NOISE
    assert readers() == before

"""Writing as tasks.store.contract promises it, asked of a folder, of moto and of rclone."""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rig.streams import KEY, MIB, PART, dying, noise, pieces

from tasks.errors import LeaseLost, ObjectExists
from tasks.store import PendingUpload, Store

Place = tuple[str, str | None]


def nothing_left(store: Store) -> bool:
    return not list(store.list("")) and not list(store.uploads(""))


LENGTHS = [0, 1, MIB - 1, MIB, MIB + 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 500]


@pytest.mark.parametrize("step", [65_537, PART + 1])
def test_what_was_put_comes_back(store: Store, step: int) -> None:
    for length in LENGTHS:
        body = noise(length)
        stored = store.put(KEY, pieces(body, step))
        assert (stored.key, stored.bytes) == (KEY, length)
        assert b"".join(store.get(KEY)) == body, length
        found = store.head(KEY)
        assert found is not None
        assert (found.key, found.bytes) == (KEY, length)
        assert list(store.uploads("")) == []


def test_many_tiny_chunks_and_empty_ones_are_one_object(store: Store) -> None:
    chunks = itertools.chain.from_iterable((b"", bytes([n % 256]), b"") for n in range(5_000))
    store.put(KEY, iter(chunks))
    assert store.read(KEY) == bytes(n % 256 for n in range(5_000))


def test_a_size_hint_changes_nothing_but_the_parts(store: Store) -> None:
    body = noise(PART + 7)
    store.put(KEY, pieces(body, MIB), size_hint=10**12)
    assert b"".join(store.get(KEY)) == body


def test_put_replaces_what_was_there(store: Store) -> None:
    store.put(KEY, iter([b"old and longer"]))
    store.put(KEY, iter([b"new"]))
    assert store.read(KEY) == b"new"
    assert [found.bytes for found in store.list("")] == [3]


def test_the_facts_are_right(store: Store) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    stored = store.put(KEY, iter([b"abc"]))
    (listed,) = store.list("main/")
    found = store.head(KEY)
    assert found is not None
    assert before < found.modified < datetime.now(UTC) + timedelta(seconds=2)
    assert found.modified.utcoffset() == listed.modified.utcoffset() == timedelta(0)
    assert found.etag == listed.etag == stored.etag != ""


# -- sources that die --------------------------------------------------------------------------------------


ERRORS = [LeaseLost("gone"), KeyboardInterrupt(), GeneratorExit(), OSError(28, "No space left on the source")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_source_that_dies_leaves_nothing_and_its_own_error(store: Store, error: BaseException) -> None:
    for chunks in (0, 1, 5, 6, 12):
        with pytest.raises(type(error)) as caught:
            store.put(KEY, dying(chunks, error))
        assert caught.value is error
        assert nothing_left(store)
        assert store.head(KEY) is None


def test_a_source_that_dies_leaves_the_older_object_as_it_was(store: Store) -> None:
    store.put(KEY, iter([b"older"]))
    with pytest.raises(LeaseLost):
        store.put(KEY, dying(6, LeaseLost("gone")))
    assert store.read(KEY) == b"older"


def test_nothing_is_there_before_the_stream_has_ended(store: Store) -> None:
    seen: list[object] = []

    def watching() -> Iterator[bytes]:
        for _ in range(12):
            yield noise(MIB)
            seen.append(store.head(KEY) or list(store.list("")))

    store.put(KEY, watching())
    assert seen == [[]] * 12
    assert store.head(KEY) is not None


# -- uploads ---------------------------------------------------------------------------------------------


def test_a_running_upload_is_listed_under_its_key(store: Store) -> None:
    seen: list[list[PendingUpload]] = []

    def watching() -> Iterator[bytes]:
        for _ in range(12):
            yield noise(MIB)
        seen.extend([list(store.uploads("main/snap")), list(store.uploads("other/"))])

    store.put(KEY, watching())
    (running,) = seen[0]
    assert running.key == KEY
    assert running.started.utcoffset() == timedelta(0)
    assert seen[1] == []


KILLED = """
import sys, time
from tasks.store import open_store
def source():
    for _ in range(12):
        yield bytes(1024 * 1024)
    print("under way", flush=True)
    time.sleep(600)
open_store(sys.argv[1], endpoint_url=sys.argv[2] or None, part_size=5 * 1024 * 1024).put(sys.argv[3], source())
"""


def test_what_a_killed_worker_left_is_listed_and_can_be_aborted(store: Store, place: Place) -> None:
    arguments = [sys.executable, "-c", KILLED, place[0], place[1] or "", KEY]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"under way\n"
        worker.send_signal(signal.SIGKILL)
    (left,) = store.uploads("")
    assert left.key == KEY
    assert list(store.list("")) == []
    store.abort(left)
    store.abort(left)
    assert nothing_left(store)


# -- put_once ----------------------------------------------------------------------------------------------


def test_put_once_keeps_the_first_body(store: Store) -> None:
    stored = store.put_once(KEY, b"first")
    assert (stored.key, stored.bytes, stored.parts) == (KEY, 5, 1)
    with pytest.raises(ObjectExists):
        store.put_once(KEY, b"other")
    with pytest.raises(ObjectExists):
        store.put_once(KEY, b"of another length")
    assert store.read(KEY) == b"first"
    assert list(store.uploads("")) == []


def test_put_once_again_with_the_same_body_is_the_lost_reply_tried_again(store: Store) -> None:
    first = store.put_once(KEY, b"first")
    assert store.put_once(KEY, b"first") == first


def test_put_once_of_nothing_is_an_empty_object(store: Store) -> None:
    store.put_once(KEY, b"")
    assert store.read(KEY) == b""
    with pytest.raises(ObjectExists):
        store.put_once(KEY, b"not empty")


@pytest.mark.parametrize("kind", ["folder", "moto"])
def test_of_two_put_once_at_the_same_time_exactly_one_wins(store: Store) -> None:
    """Not on rclone's server, which takes If-None-Match and does not look at it; `exclusive` tells (below)."""
    start = threading.Barrier(2)

    def write(key: str, body: bytes) -> str:
        start.wait()
        try:
            store.put_once(key, body)
        except ObjectExists:
            return "lost"
        return body.decode()

    with ThreadPoolExecutor(2) as writers:
        for round_ in range(20):
            key = f"main/manifests/{round_}.json"
            ended = list(writers.map(write, [key, key], [b"one", b"two"]))
            (winner,) = set(ended) - {"lost"}
            assert sorted(ended) == sorted(["lost", winner])
            assert store.read(key).decode() == winner


def test_a_store_knows_whether_its_put_once_holds_at_the_same_moment(store: Store, kind: str) -> None:
    assert store.exclusive("check/probe") is (kind != "rclone")
    assert nothing_left(store)


def test_what_else_a_store_does_is_found_without_leaving_anything(store: Store) -> None:
    """None of these three is versioned, locked or compares; S3 itself does what its buckets are set to."""
    traits = store.traits("check/probe")
    assert (traits.versioned, traits.locked) in {(False, False), (False, None)}
    assert traits.compares is False
    assert nothing_left(store)

"""What tasks.store.contract promises, asked of a folder, of moto and of rclone."""

from __future__ import annotations

import hashlib
import itertools
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from rig import s3

from tasks.errors import BucketMissing, LeaseLost, ObjectExists, ObjectMissing, RedkeepError, StoreFailed, StoreUnusable
from tasks.store import PendingUpload, Store, open_store

MIB = 1024 * 1024
PART = 5 * MIB
KEY = "main/snapshots/20261123T110700Z-00ff00ff.rdb.zst.age"
Place = tuple[str, str | None]


def noise(length: int) -> bytes:
    """The same bytes each time, no two blocks of them alike."""
    return hashlib.shake_128(b"redkeep").digest(length)


def pieces(body: bytes, step: int) -> Iterator[bytes]:
    for start in range(0, len(body), step):
        yield body[start : start + step]


@pytest.fixture(params=["folder", "moto", "rclone"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(kind: str, tmp_path: Path, request: pytest.FixtureRequest, use: Callable[[dict[str, str]], None]) -> Place:
    """A new and empty place: its url and its endpoint."""
    if kind == "folder":
        return tmp_path.as_uri(), None
    server: s3.Server = request.getfixturevalue(kind)
    use(server.environment)
    bucket = f"bucket-{uuid4().hex}"
    server.make_bucket(bucket)
    return f"s3://{bucket}/some/prefix", server.endpoint_url


@pytest.fixture
def store(place: Place) -> Store:
    url, endpoint_url = place
    return open_store(url, endpoint_url=endpoint_url, part_size=PART, concurrency=2)


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


def dying(chunks: int, error: BaseException) -> Iterator[bytes]:
    for _ in range(chunks):
        yield noise(MIB)
    raise error


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


def test_of_two_put_once_at_the_same_time_exactly_one_wins(store: Store, kind: str) -> None:
    if not store.exclusive("probe"):
        pytest.skip(f"{kind} takes If-None-Match and does not look at it")
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


# -- reading, listing, removing ------------------------------------------------------------------------


def test_what_is_not_there_is_said_to_be_missing(store: Store) -> None:
    assert store.head(KEY) is None
    assert list(store.list("")) == []
    with pytest.raises(ObjectMissing):
        next(iter(store.get(KEY)))
    with pytest.raises(ObjectMissing):
        store.read(KEY)


def test_a_folder_is_not_an_object(store: Store) -> None:
    store.put(KEY, iter([b"x"]))
    assert store.head("main/snapshots") is None
    with pytest.raises(ObjectMissing):
        store.read("main/snapshots")


def test_read_refuses_what_is_longer_than_it_should_be(store: Store) -> None:
    store.put(KEY, iter([b"12345"]))
    assert store.read(KEY, 5) == b"12345"
    with pytest.raises(StoreFailed, match="larger than 4 bytes"):
        store.read(KEY, 4)


def test_a_read_can_be_left_in_the_middle(store: Store) -> None:
    store.put(KEY, iter([noise(3 * MIB)]))
    chunks = store.get(KEY)
    assert len(next(iter(chunks))) > 0
    del chunks
    assert store.head(KEY) is not None


NAMES = [
    "main/b/1",
    "main/b-1",
    "main/b/a/2",
    "main/b.x",
    "main/B",
    "main/b/a.1",
    "main/ü",
    "main/a b+c%20&=",
    "other/b/1",
]


def test_the_list_is_ordered_by_the_bytes_of_the_keys(store: Store) -> None:
    for name in NAMES:
        store.put(name, iter([name.encode()]))
    everything = sorted(NAMES, key=str.encode)
    assert [found.key for found in store.list("")] == everything
    for prefix in ("main/", "main/b", "main/b/", "main/b/a", "main/b-1", "ot", "none/", "main/b/1/"):
        assert [found.key for found in store.list(prefix)] == [key for key in everything if key.startswith(prefix)]
    for name in NAMES:
        assert store.read(name) == name.encode()


def test_delete_removes_one_object_and_takes_nothing_for_done(store: Store) -> None:
    for name in ("main/a", "main/ab"):
        store.put(name, iter([b"x"]))
    store.delete("main/a")
    store.delete("main/a")
    assert [found.key for found in store.list("")] == ["main/ab"]


NO_KEYS = ["", "/a", "a/", "a//b", "../a", "a/../b", ".", ".a", "a/.b", "a\nb", "a\0b", "x" * 1025, "\ud800"]


def test_a_key_that_is_none_is_refused_everywhere(store: Store) -> None:
    calls: list[Callable[[str], object]] = [
        lambda key: store.put(key, iter([b"x"])),
        lambda key: store.put_once(key, b"x"),
        lambda key: list(store.get(key)),
        store.read,
        store.head,
        store.delete,
        lambda key: store.abort(PendingUpload(key, "upload", datetime.now(UTC))),
    ]
    for key, call in itertools.product(NO_KEYS, calls):
        with pytest.raises(ValueError, match="not a key"):
            call(key)
    assert list(store.list("")) == []


def test_a_prefix_that_no_key_has_is_refused(store: Store) -> None:
    for prefix in ("/", "../", "a//", "a/.."):
        with pytest.raises(ValueError, match="no key begins"):
            list(store.list(prefix))
        with pytest.raises(ValueError, match="no key begins"):
            list(store.uploads(prefix))


def test_the_url_is_safe_to_show(store: Store, place: Place) -> None:
    assert store.url == place[0]
    assert os.environ.get("AWS_SECRET_ACCESS_KEY", "no secret") not in f"{store.url}{vars(store)}"


def test_a_place_that_is_not_there_is_said_to_be_missing_and_not_made(kind: str, place: Place) -> None:
    base, endpoint_url = place
    url, wanted = f"{base}/missing", StoreUnusable
    if kind != "folder":
        url, wanted = f"s3://missing-{uuid4().hex}/x", BucketMissing
    store = open_store(url, endpoint_url=endpoint_url, part_size=PART)
    calls: list[Callable[[], object]] = [
        lambda: store.put(KEY, iter([b"x"])),
        lambda: store.put(KEY, pieces(noise(2 * PART), MIB)),
        lambda: store.put_once(KEY, b"x"),
        lambda: list(store.get(KEY)),
        lambda: store.head(KEY),
        lambda: list(store.list("")),
        lambda: list(store.uploads("")),
        lambda: store.delete(KEY),
    ]
    for call in calls:
        with pytest.raises(wanted) as caught:
            call()
        assert isinstance(caught.value, RedkeepError)
        assert caught.value.hint
    if kind == "folder":
        assert not Path(base.removeprefix("file://"), "missing").exists()

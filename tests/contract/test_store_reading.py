"""Reading, listing and removing as tasks.store.contract promises it, asked of all three."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from rig.streams import KEY, MIB, PART, noise, pieces

from tasks.errors import BucketMissing, ObjectMissing, RedkeepError, StoreFailed, StoreUnusable
from tasks.store import PendingUpload, Store, open_store

Place = tuple[str, str | None]


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

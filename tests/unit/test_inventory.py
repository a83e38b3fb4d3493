"""What is kept of a store: read once, never more than it needs, and never a reason to fail."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rig.shelves import put_backup

from tasks import names
from tasks.errors import DrillFailed, StoreUnreachable
from tasks.inventory import KEPT, Inventory
from tasks.manifest import SourceFacts
from tasks.store import Store, open_store
from tasks.verdicts import pronounce, statement

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Watched:
    """A store that counts what it is asked, and fails where a test says so."""

    def __init__(self, store: Store) -> None:
        self.asked: Counter[str] = Counter()
        self.fails: set[str] = set()
        self._store = store

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)

        def counted(key: str, *args: Any) -> Any:
            self.asked[name] += 1
            if name in self.fails or key in self.fails:
                raise StoreUnreachable("the store does not answer")
            return found(key, *args)

        return counted if name in ("list", "read") else found


@pytest.fixture
def store(tmp_path: Path) -> Watched:
    return Watched(open_store(tmp_path.as_uri()))


def test_the_figures_of_each_manifest_are_kept_oldest_first(store: Watched) -> None:
    source = SourceFacts(kind="follow", exact=True, fork_usec=900, cow_bytes=4096, seconds=12.5)
    put_backup(store, NOON, source=source)
    put_backup(store, NOON - timedelta(hours=1))
    stock = Inventory(store).look(["main"])["main"]
    assert [each.id for each in stock.backups] == ["20261123T110000Z", "20261123T120000Z"]
    newest = stock.newest
    assert newest is not None
    assert (newest.fork_usec, newest.cow_bytes, newest.seconds, newest.keys) == (900, 4096, 12.5, 1)
    assert newest.taken == NOON - timedelta(seconds=12.5)  # what was written while it was saved is not in it
    assert (stock.count, stock.problem) == (2, None)


def test_what_was_read_is_not_read_again(store: Watched) -> None:
    inventory = Inventory(store)
    for hours in range(5):
        put_backup(store, NOON - timedelta(hours=hours))
    inventory.look(["main"])
    pronounce(store, "main", "20261123T120000Z", "verified", statement())
    store.asked.clear()
    stock = inventory.look(["main"])["main"]
    assert store.asked["list"] == 1
    assert store.asked["read"] == 2  # the statement, and what it was merged into
    assert stock.verified is not None
    store.asked.clear()
    assert inventory.look(["main"])["main"].backups == stock.backups
    assert store.asked == {"list": 1}


def test_the_last_verification_and_the_last_drill_are_told_however_they_went(store: Watched) -> None:
    for hours in range(2):
        put_backup(store, NOON - timedelta(hours=hours))
    pronounce(store, "main", "20261123T110000Z", "drilled", statement(figures={"recovery_seconds": 7.25}))
    pronounce(store, "main", "20261123T110000Z", "verified", statement())
    pronounce(store, "main", "20261123T120000Z", "verified", statement(error=DrillFailed("three keys are gone")))
    stock = Inventory(store).look(["main"])["main"]
    assert stock.drilled is not None
    assert (stock.drilled.seconds, stock.drilled.ok, stock.drilled.backup) == (7.25, True, "20261123T110000Z")
    assert stock.verified is not None
    assert (stock.verified.ok, stock.verified.error) == (False, "three keys are gone")
    assert stock.verified.hint == DrillFailed.hint


def test_a_manifest_that_cannot_be_read_is_shown_as_such_and_the_others_stand(store: Watched) -> None:
    put_backup(store, NOON - timedelta(hours=1))
    for hour, body in {12: b"{", 13: b'{"format_version": 99}', 14: b"\xff" * 100}.items():
        store.put(names.manifest_key("main", f"20261123T{hour}0000Z"), iter([body]))
    stock = Inventory(store).look(["main"])["main"]
    assert [bool(each.problem) for each in stock.backups] == [False, True, True, True]
    assert stock.newest is not None
    assert stock.newest.id == "20261123T110000Z"
    assert stock.backups[1].bytes is None


@pytest.mark.parametrize(
    "key",
    ["main/manifests/readme.json", "main/manifests/99999999T999999Z.json", "main/manifests/deep/20261123T120000Z.json"],
)
def test_what_somebody_else_put_there_is_passed_over(store: Watched, key: str) -> None:
    store.put(key, iter([b"{}"]))
    assert Inventory(store).look(["main"])["main"].count == 0


@pytest.mark.parametrize("at", ["yesterday", "0001-01-01T00:00:00+14:00"])
def test_a_verdict_without_a_time_counts_as_not_said(store: Watched, at: str) -> None:
    put_backup(store, NOON)
    said = statement().model_copy(update={"at": at})
    pronounce(store, "main", "20261123T120000Z", "verified", said)
    assert Inventory(store).look(["main"])["main"].verified is None


def test_a_store_that_cannot_be_listed_leaves_what_was_known_and_says_so(store: Watched) -> None:
    inventory = Inventory(store)
    put_backup(store, NOON)
    before = inventory.look(["main"])["main"]
    store.fails.add("list")
    after = inventory.look(["main", "other"])
    assert after["main"].backups == before.backups
    assert after["main"].problem is not None
    assert after["main"].problem["name"] == "store-unreachable"
    assert (after["other"].backups, after["other"].seen) == ((), None)
    store.fails.clear()
    assert inventory.look(["main"])["main"].problem is None


def test_one_object_that_cannot_be_fetched_is_asked_for_again(store: Watched) -> None:
    inventory = Inventory(store)
    for hours in range(2):
        put_backup(store, NOON - timedelta(hours=hours))
    store.fails.add("main/manifests/20261123T120000Z.json")
    stock = inventory.look(["main"])["main"]
    assert [each.id for each in stock.backups] == ["20261123T110000Z"]
    assert stock.problem is not None
    store.fails.clear()
    stock = inventory.look(["main"])["main"]
    assert (len(stock.backups), stock.problem) == (2, None)


def test_of_very_many_backups_the_newest_are_kept_and_all_are_counted(store: Watched) -> None:
    for minutes in range(KEPT + 5):
        store.put(names.manifest_key("main", names.stamp(NOON + timedelta(minutes=minutes))), iter([b"{}"]))
    stock = Inventory(store).look(["main"])["main"]
    assert (len(stock.backups), stock.count, store.asked["read"]) == (KEPT, KEPT + 5, KEPT)


def test_targets_that_only_the_store_knows_are_found(store: Watched) -> None:
    for target in ("main", "gone"):
        put_backup(store, NOON, target=target)
    assert Inventory(store).others(["main"]) == ["gone"]

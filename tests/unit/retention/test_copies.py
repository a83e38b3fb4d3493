"""Copies of tidied keys go when their time is over, and what never became an archive a day later; nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rig.shelves import put_backup

from tasks import names
from tasks.errors import StoreDenied
from tasks.retention.copies import remove_copies, spent
from tasks.store import Store, open_store

NOW = datetime.now(UTC)
MONTH, DAY = timedelta(days=30), timedelta(days=1)
STAGES = ("zstd:1", "age")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path.as_uri())


def segment(store: Store, moment: datetime = NOW, *, number: int = 1, committed: bool = True) -> list[str]:
    """The keys of one segment, manifest first."""
    name = names.segment_name(f"{names.stamp(moment)}-1a2b3c4d", "9f8e7d6c5b4a3210", number)
    keys = [names.segment_manifest_key("main", name)] if committed else []
    keys += [names.segment_key("main", name, STAGES), names.segment_stayed_key("main", name)]
    for key in keys:
        store.put(key, iter([b"x"]))
    return keys


def going(store: Store, after: timedelta, *, live: set[str] = frozenset()) -> list[list[str]]:  # type: ignore[assignment]
    return spent(store, "main", MONTH, set(live), NOW + after)


def test_a_segment_goes_when_its_time_is_over_and_its_manifest_goes_first(store: Store) -> None:
    keys = segment(store)
    assert going(store, MONTH - DAY) == []
    assert going(store, MONTH + DAY) == [keys]
    assert remove_copies(store, going(store, MONTH + DAY)) == {}
    assert list(store.list("")) == []


def test_a_segment_that_was_written_just_now_stays_whatever_its_name_says(store: Store) -> None:
    segment(store, NOW - timedelta(days=400))
    assert going(store, timedelta()) == []


def test_one_whose_name_lies_in_the_future_stays(store: Store) -> None:
    segment(store, NOW + timedelta(days=400))
    assert going(store, 2 * MONTH) == []


def test_what_never_became_an_archive_goes_a_day_later_unless_a_live_run_writes_it(store: Store) -> None:
    keys = segment(store, committed=False)
    assert going(store, timedelta(hours=20)) == []
    assert going(store, 2 * DAY, live={keys[0]}) == []
    assert sorted(going(store, 2 * DAY)[0]) == sorted(keys)


def test_no_backup_and_nothing_that_is_called_otherwise_ever_goes(store: Store) -> None:
    put_backup(store, NOW - timedelta(days=900))
    for key in ("main/tidied/readme.txt", "main/tidied/20261123T113700Z.json", "other/tidied/x.json"):
        store.put(key, iter([b"x"]))
    assert going(store, 1000 * DAY) == []


def test_a_store_that_refuses_is_told_of_and_the_rest_of_that_segment_stays(store: Store) -> None:
    keys, others = segment(store), segment(store, number=2)

    class Locked:
        def delete(self, key: str) -> None:
            if key == keys[0]:
                raise StoreDenied("locked")
            store.delete(key)

    assert remove_copies(Locked(), [keys, others]) == {keys[0]: "locked"}  # type: ignore[arg-type]
    assert sorted(each.key for each in store.list("")) == sorted(keys)

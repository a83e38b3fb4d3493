"""Which backups a store holds: told by manifests alone, whatever else lies there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tasks import catalog
from tasks.errors import BackupUnknown, ManifestInvalid, ManifestTooNew
from tasks.manifest import Manifest
from tasks.names import manifest_key
from tasks.store import Store, open_store

OLD, MID, NEW = "20261123T110700Z", "20261123T113002Z-1a2b3c4d", "20261123T120700Z"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path.as_uri())


def committed(store: Store, backup_id: str, target: str = "main", *, at: str = "", **told: Any) -> None:
    facts: dict[str, Any] = {
        "format_version": 1, "id": backup_id, "target": target, "slot": None, "created": "2026-11-23T11:07:09Z",
        "task_id": "t", "run_id": "r", "fence": 1,
        "server": {"name": "redis", "version": "7.0.15", "run_id": "x", "role": "master", "mode": "standalone"},
        "source": {"kind": "follow", "exact": True, "seconds": 1.0},
        "plaintext": {"bytes": 1, "sha256": "0", "rdb_version": 11, "crc64": "0", "keys": {}, "expires": {}},
        "object": {"key": f"{target}/snapshots/{backup_id}.rdb", "bytes": 1, "sha256": "0", "etag": "x", "parts": 1},
        "stages": [], "recipients": [], "redkeep_version": "0.1.0",
    } | told  # fmt: skip
    store.put_once(at or manifest_key(target, backup_id), json.dumps(facts).encode())


def ids(store: Store, target: str = "main") -> list[str]:
    return [entry.id for entry in catalog.entries(store, target)]


def test_an_empty_store_holds_nothing(store: Store) -> None:
    assert ids(store) == []
    assert catalog.targets(store) == []
    with pytest.raises(BackupUnknown, match="no backup of main at file:///"):
        catalog.find(store, "main", "latest")


def test_backups_are_listed_oldest_first_and_by_target(store: Store) -> None:
    for backup_id in (NEW, OLD, MID):
        committed(store, backup_id)
    committed(store, NEW, "other")
    assert ids(store) == [OLD, MID, NEW]
    assert ids(store, "other") == [NEW]
    assert catalog.targets(store) == ["main", "other"]


def test_a_target_whose_name_begins_like_another_is_another(store: Store) -> None:
    committed(store, OLD, "main")
    committed(store, NEW, "main2")
    assert ids(store, "main") == [OLD]
    assert catalog.find(store, "main", "latest").id == OLD


def test_a_snapshot_without_a_manifest_is_no_backup(store: Store) -> None:
    store.put(f"main/snapshots/{OLD}-1a2b3c4d.rdb.zst.age", iter([b"x"]))
    assert ids(store) == []
    assert catalog.targets(store) == []


@pytest.mark.parametrize("name", ["notes.txt", "latest.json", "20261123.json", f"{OLD}.json.bak", f"x/{OLD}.json"])
def test_strange_names_beside_the_manifests_are_passed_over(store: Store, name: str) -> None:
    committed(store, OLD)
    store.put(f"main/manifests/{name}", iter([b"x"]))
    assert ids(store) == [OLD]
    assert catalog.find(store, "main", "latest").id == OLD


def test_a_backup_is_found_by_its_id_and_the_newest_by_latest(store: Store) -> None:
    for backup_id in (NEW, OLD, MID):
        committed(store, backup_id)
    assert catalog.find(store, "main", MID).id == MID
    assert catalog.find(store, "main", "latest").id == NEW


@pytest.mark.parametrize("wanted", ["20261123T110701Z", "2026", "", "../../etc/passwd", "LATEST", f"{OLD}-1a2b3c4d"])
def test_an_id_that_is_not_there_is_unknown(store: Store, wanted: str) -> None:
    committed(store, OLD)
    with pytest.raises(BackupUnknown, match="no backup"):
        catalog.find(store, "main", wanted)


def test_a_manifest_that_cannot_be_read_is_listed_with_the_reason(store: Store) -> None:
    committed(store, OLD)
    committed(store, MID, format_version=99)
    store.put(manifest_key("main", NEW), iter([b"{"]))
    problems = {entry.id: entry.problem for entry in catalog.entries(store, "main")}
    assert problems[OLD] == ""
    assert "format 99" in problems[MID]
    assert "not JSON" in problems[NEW]


def test_latest_is_never_silently_an_older_one(store: Store) -> None:
    committed(store, OLD)
    committed(store, NEW, format_version=99)
    with pytest.raises(ManifestTooNew):
        catalog.find(store, "main", "latest")
    assert catalog.find(store, "main", OLD).id == OLD


@pytest.mark.parametrize(("backup_id", "target"), [(MID, "main"), (OLD, "other")])
def test_a_manifest_that_lies_under_another_ones_name_is_refused(store: Store, backup_id: str, target: str) -> None:
    """Who may write into the bucket could else have an old backup, or another site's, loaded as today's."""
    committed(store, backup_id, target, at=manifest_key("main", OLD))
    with pytest.raises(ManifestInvalid, match="another backup's"):
        catalog.find(store, "main", OLD)
    with pytest.raises(ManifestInvalid):
        catalog.find(store, "main", "latest")
    (entry,) = catalog.entries(store, "main")
    assert entry.manifest is None
    assert "another backup's" in entry.problem


def test_the_manifest_found_is_the_one_written(store: Store) -> None:
    committed(store, OLD, slot="tasks.backup/main/2026-11-23T11:07Z", unknown_field={"a": 1})
    found = catalog.find(store, "main", OLD)
    assert isinstance(found, Manifest)
    assert found.slot == "tasks.backup/main/2026-11-23T11:07Z"
    assert found.model_dump()["unknown_field"] == {"a": 1}

"""One slot, one backup: what stands there already wins, whenever it came."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from rig import s3
from rig.keep import Keep, eventually
from rig.redis_servers import RedisServer
from rig.saving import fill_slow, forks, settings_are_back

from tasks.errors import ManifestInvalid

MakeKeep = Callable[..., Keep]
SLOT = "tasks.backup/main/2026-11-23T11:07Z"


def test_a_slot_that_the_store_says_is_done_is_skipped_before_any_fork(
    any_redis: RedisServer, keep: MakeKeep, tmp_path: Path
) -> None:
    """Its own control Redis has forgotten; the store has not."""
    store = tmp_path / "shared"
    store.mkdir()
    first = keep(any_redis, source="follow", store_url=store.as_uri()).attempt(slot=SLOT)
    assert first.manifest is not None
    assert first.manifest.id == "20261123T110700Z"
    before = sorted(store.rglob("*"))
    second = keep(any_redis, source="follow", store_url=store.as_uri()).attempt(slot=SLOT)
    assert second.error is None
    assert second.state == "skipped"
    assert second.shown["name"] == "slot-committed"
    assert first.run_id in second.shown["message"]
    assert forks(any_redis) == 1
    assert sorted(store.rglob("*")) == before


def test_the_same_run_again_finds_what_it_committed(any_redis: RedisServer, keep: MakeKeep, tmp_path: Path) -> None:
    """It died before it could say so, and its control Redis lost the record."""
    store = tmp_path / "shared"
    store.mkdir()
    first = keep(any_redis, source="follow", store_url=store.as_uri()).attempt("one-run", slot=SLOT)
    second = keep(any_redis, source="follow", store_url=store.as_uri()).attempt("one-run", slot=SLOT)
    assert second.state == "succeeded"
    assert second.manifest == first.manifest
    assert second.record.get("figures")["backup"] == "20261123T110700Z"
    assert forks(any_redis) == 1


def test_something_unreadable_under_the_manifests_name_is_left_alone(any_redis: RedisServer, keep: MakeKeep) -> None:
    ours = keep(any_redis, source="follow")
    assert ours.store_folder is not None
    path = ours.store_folder / "main" / "manifests" / "20261123T110700Z.json"
    path.parent.mkdir(parents=True)
    path.write_text("not a manifest")
    attempt = ours.attempt(slot=SLOT)
    assert isinstance(attempt.error, ManifestInvalid)
    assert path.read_text() == "not a manifest"
    assert forks(any_redis) == 0


@pytest.mark.parametrize("kind", ["folder", "moto"])
@pytest.mark.parametrize("body", ["another run's", "unreadable"])
def test_a_manifest_that_appears_meanwhile_wins_and_ours_is_taken_back(
    any_redis: RedisServer, keep: MakeKeep, request: pytest.FixtureRequest, tmp_path: Path, kind: str, body: str
) -> None:
    fill_slow(any_redis, 0.8)
    if kind == "folder":
        (tmp_path / "shared").mkdir()
        place = {"store_url": (tmp_path / "shared").as_uri()}
    else:
        moto: s3.Server = request.getfixturevalue("moto")
        place = {"store_url": request.getfixturevalue("bucket"), "endpoint_url": moto.endpoint_url}
    ours, theirs = keep(any_redis, source="follow", **place), keep(any_redis, source="follow", **place)
    running = ours.started("loser", slot=SLOT)
    eventually(lambda: ours.shipped("loser"))
    if body == "unreadable":
        theirs.store.put_once("main/manifests/20261123T110700Z.json", b"not a manifest")
        attempt = running.result(30)
        assert isinstance(attempt.error, ManifestInvalid)
        assert [each.key for each in ours.store.list("")] == ["main/manifests/20261123T110700Z.json"]
    else:
        with RedisServer(any_redis.flavour) as quick:
            winner = keep(quick, source="follow", **place).attempt("winner", slot=SLOT)
        attempt = running.result(30)
        assert attempt.state == "skipped"
        assert attempt.shown["name"] == "slot-committed"
        assert winner.manifest is not None
        assert [each.run_id for each in ours.manifests()] == [winner.manifest.run_id]
        assert [each.key for each in ours.store.list("main/snapshots/")] == [winner.manifest.object.key]
    assert not list(ours.store.uploads(""))
    assert settings_are_back(any_redis)

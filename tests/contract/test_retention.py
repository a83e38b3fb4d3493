"""Verdicts, holds and removal over every kind of store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any

import pytest
from rig.faulty_s3 import Answer, Proxy
from rig.shelves import Dying, Gone, put_backup
from rig.streams import noise

from tasks import catalog, holds, names, verdicts
from tasks.errors import BackupUnknown, DrillFailed, VerdictInvalid
from tasks.manifest import Manifest
from tasks.retention.removal import Remover
from tasks.retention.sweep import Leftover, leftovers, objects_of, sweep
from tasks.store import Store
from tasks.store.s3 import S3Store

NOW = datetime.now(UTC)
LATER = NOW + timedelta(days=2)
OLD = NOW - timedelta(days=40)


def keys(store: Store) -> set[str]:
    return {each.key for each in store.list("")}


def of(manifest: Manifest) -> set[str]:
    return {manifest.object.key, names.manifest_key(manifest.target, manifest.id)}


def remover(store: Any) -> Remover:
    return Remover(store, "main", lambda: None, run="r")


# -- verdicts --------------------------------------------------------------------------------------------


def test_what_two_said_at_the_same_time_is_both_known(store: Store) -> None:
    manifest = put_backup(store, OLD)
    good, bad = verdicts.statement(run="v"), verdicts.statement(run="d", error=DrillFailed("no"))
    verdicts.pronounce(store, "main", manifest.id, "verified", good)
    stale = store.read(names.verdict_key("main", manifest.id))
    verdicts.pronounce(store, "main", manifest.id, "drilled", bad)
    store.put(names.verdict_key("main", manifest.id), iter([stale]))  # a merge that was slower than the other's
    found = catalog.shelf(store, "main")[0].verdict
    assert found is not None
    assert (found.verified, found.drilled, found.failed) == (good, bad, True)
    verdicts.fold(store, "main", manifest.id)
    assert verdicts.Verdict.read(store.read(names.verdict_key("main", manifest.id))) == found


def test_a_verdict_that_cannot_be_read_counts_as_none_and_is_told(store: Store) -> None:
    manifest = put_backup(store, OLD)
    store.put(names.verdict_key("main", manifest.id), iter([b"garbage"]))
    entry = catalog.shelf(store, "main")[0]
    assert entry.verdict is None
    assert "not a verdict" in entry.notes[0]
    with pytest.raises(VerdictInvalid):
        verdicts.fold(store, "main", manifest.id)
    verdicts.pronounce(store, "main", manifest.id, "verified", verdicts.statement())
    entry = catalog.shelf(store, "main")[0]
    assert entry.notes == ()
    assert entry.verdict is not None
    assert entry.verdict.good


def test_a_verdict_of_a_newer_redkeep_is_not_written_over(store: Store) -> None:
    manifest = put_backup(store, OLD)
    newer = b'{"format_version":2}'
    store.put(names.verdict_key("main", manifest.id), iter([newer]))
    verdicts.pronounce(store, "main", manifest.id, "verified", verdicts.statement())
    assert store.read(names.verdict_key("main", manifest.id)) == newer


def test_verdicts_of_backups_whose_ids_begin_alike_do_not_mix(store: Store) -> None:
    slot = put_backup(store, OLD)
    by_hand = names.manual_id(OLD, "1a2b3c4d")
    verdicts.pronounce(store, "main", slot.id, "verified", verdicts.statement())
    verdicts.pronounce(store, "main", by_hand, "verified", verdicts.statement(error=DrillFailed("no")))
    assert verdicts.fold(store, "main", slot.id).good
    assert verdicts.fold(store, "main", by_hand).failed


# -- holds -----------------------------------------------------------------------------------------------


def test_a_hold_stands_until_it_is_released(store: Store) -> None:
    manifest = put_backup(store, OLD)
    holds.hold(store, "main", manifest.id, why="audit", by="me")
    remover(store).remove(manifest)
    assert of(manifest) <= keys(store)
    assert not any("removing" in key for key in keys(store))
    found = catalog.shelf(store, "main")[0].hold
    assert found is not None
    assert found.why == "audit"
    assert holds.release(store, "main", manifest.id) is True
    assert holds.release(store, "main", manifest.id) is False
    remover(store).remove(manifest)
    assert keys(store) == set()


def test_a_hold_that_cannot_be_read_holds(store: Store) -> None:
    manifest = put_backup(store, OLD)
    store.put(names.hold_key("main", manifest.id), iter([b"\xff"]))
    found = catalog.shelf(store, "main")[0].hold
    assert found is not None
    assert found.why == holds.UNREADABLE


def test_what_is_not_there_or_just_going_cannot_be_held(store: Store) -> None:
    with pytest.raises(BackupUnknown):
        holds.hold(store, "main", names.stamp(OLD), why="x", by="me")
    manifest = put_backup(store, OLD)
    with pytest.raises(Gone):
        remover(Dying(store, 1)).remove(manifest)  # the note is written, the manifest not yet removed
    with pytest.raises(BackupUnknown, match="just now"):
        holds.hold(store, "main", manifest.id, why="x", by="me")
    assert names.hold_key("main", manifest.id) not in keys(store)
    remover(store).finish(catalog.shelf(store, "main"))
    holds.hold(store, "main", manifest.id, why="x", by="me")


# -- removal ---------------------------------------------------------------------------------------------


def test_a_removal_that_is_cut_at_any_step_is_finished_by_the_next(store: Store) -> None:
    steps = 0
    while True:
        manifest, other = put_backup(store, OLD), put_backup(store, OLD + timedelta(hours=1))
        verdicts.pronounce(store, "main", manifest.id, "verified", verdicts.statement())
        dying = Dying(store, steps)
        try:
            remover(dying).remove(manifest)
        except Gone:
            entries = catalog.shelf(store, "main")
            assert all(entry.manifest and entry.manifest.object.key in keys(store) for entry in entries)
            again = remover(store)
            again.finish(entries)
            if any(entry.id == manifest.id for entry in entries):
                assert of(manifest) <= keys(store), "before the manifest went, nothing has happened"
                again.remove(manifest)
        assert keys(store) == of(other)
        if dying.changes < steps:
            break
        for key in of(other):
            store.delete(key)
        steps += 1
    assert dying.changes == 6  # note, manifest, object, two verdicts, note


def test_a_note_never_leads_out_of_the_targets_own_snapshots(store: Store) -> None:
    other = put_backup(store, OLD, target="other")
    mine = put_backup(store, OLD + timedelta(hours=1))
    for number, key in enumerate((other.object.key, names.manifest_key("other", other.id), mine.object.key)):
        gone = names.stamp(OLD + timedelta(hours=2 + number))
        said = verdicts.statement(figures={"object": key})
        note = verdicts.Verdict(id=gone, target="main", removing=said)
        store.put(names.removal_key("main", gone), iter([note.body()]))
    remover(store).finish(catalog.shelf(store, "main"))
    assert keys(store) == of(other) | of(mine)


# -- leftovers -------------------------------------------------------------------------------------------


def swept(store: Store, now: datetime, live: set[str] | None = None, target: str = "main") -> set[str]:
    objects = objects_of(store, target)
    found = list(leftovers(store, target, objects, catalog.shelf(store, target), live or set(), now))
    assert sweep(store, found) == {}
    return {each.key for each in found}


def test_only_what_is_old_and_nobody_needs_is_swept(store: Store) -> None:
    manifest = put_backup(store, OLD)
    verdicts.pronounce(store, "main", manifest.id, "verified", verdicts.statement())
    kept = keys(store)
    orphan = names.snapshot_key("main", names.stamp(NOW), "1" * 16, ("age",))
    at_work = names.snapshot_key("main", names.stamp(NOW), "2" * 16, ("age",))
    lone = names.verdict_key("main", names.stamp(NOW))
    foreign = ["main/snapshots/readme.txt", "main/tidied/x.json", "main2/snapshots/" + orphan.rpartition("/")[2]]
    for key in (orphan, at_work, lone, *foreign):
        store.put(key, iter([b"x"]))
    assert swept(store, NOW + timedelta(hours=23)) == set()
    assert swept(store, LATER, {at_work}) == {orphan, lone}
    assert keys(store) == kept | {at_work, *foreign}


def test_the_object_of_a_manifest_that_cannot_be_read_stays(store: Store) -> None:
    manifest = put_backup(store, OLD)
    store.put(names.manifest_key("main", manifest.id), iter([b"garbage"]))
    assert swept(store, LATER) == set()


def test_an_upload_that_nobody_ended_is_swept_when_it_is_old_and_no_live_run_names_it(
    truth: S3Store, moto: Any, bucket: str
) -> None:
    for key in ("main/snapshots/a", "main/snapshots/b", "main2/snapshots/a"):
        moto.client.create_multipart_upload(Bucket=bucket, Key=f"prefix/{key}")
    assert swept(truth, LATER, {"main/snapshots/b"}) == {"main/snapshots/a"}
    assert {each.key for each in truth.uploads("")} == {"main/snapshots/b", "main2/snapshots/a"}


# -- a store that refuses --------------------------------------------------------------------------------


def test_a_store_that_refuses_is_told_of_and_not_fought(
    opened: Callable[..., S3Store], proxy: Proxy, truth: S3Store
) -> None:
    one, two = put_backup(truth, OLD), put_backup(truth, OLD + timedelta(hours=1))
    proxy.faults["delete"] = repeat(Answer(403, "AccessDenied", "object is WORM protected"))
    working = remover(opened())
    working.remove(one)
    working.remove(two)
    assert set(working.done.refused) == {one.id, two.id}
    assert "WORM" in working.done.refused[one.id]
    assert proxy.count("delete") == 2, "one try each"
    assert of(one) | of(two) <= keys(truth)
    assert set(sweep(opened(), [Leftover(one.object.key)])) == {one.object.key}
    proxy.faults["delete"] = iter(())
    again = remover(opened())
    again.finish(catalog.shelf(truth, "main"))
    again.remove(one)
    assert again.done.refused == {}
    assert keys(truth) == of(two)


def test_a_locked_bucket_hides_what_is_removed_and_keeps_its_bytes(moto: Any, use: Any, bucket: str) -> None:
    name = f"locked-{bucket[-12:]}"
    use(moto.environment)
    moto.make_bucket(name, object_lock=True)
    store = S3Store(name, "p", endpoint_url=moto.endpoint_url, object_lock=timedelta(days=30))
    manifest = put_backup(store, OLD, bytes=len(noise(10)))
    working = remover(store)
    working.remove(manifest)
    assert working.done.backups == [manifest.id]
    assert keys(store) == set()
    versions = moto.client.list_object_versions(Bucket=name)["Versions"]
    assert f"p/{manifest.object.key}" in {each["Key"] for each in versions}

"""Retention as a run: what goes, what stays and is said, after a backup and by hand, and what a killed one left."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rig.commands import Running, here, redkeep
from rig.keep import Keep, eventually
from rig.redis_servers import RedisServer
from rig.shelves import Dying, Gone, put_backup

from tasks import catalog, control, errors, lease, names, retention, verdicts
from tasks.manifest import Manifest, read_signing_key
from tasks.records import Records

MakeKeep = Callable[..., Keep]
NOW = datetime.now(UTC).replace(microsecond=0)
LAST_TWO = {"last": 2, "hourly": 0, "daily": 0, "weekly": 0, "monthly": 0}


@pytest.fixture
def ours(any_redis: RedisServer, keep: MakeKeep) -> Keep:
    """An installation that keeps two backups and trusts its own signer."""
    return keep(any_redis, proving=True, keep=LAST_TWO)


def shelve(keep: Keep, *sizes: int, **changes: Any) -> list[Manifest]:
    """So many signed backups, an hour apart, the last one an hour old."""
    key = read_signing_key((keep.folder / "signing.pem").read_bytes())
    ages = range(len(sizes), 0, -1)
    return [
        put_backup(keep.store, NOW - timedelta(hours=age), bytes=size, key=key, **changes)
        for age, size in zip(ages, sizes, strict=True)
    ]


def ids(keep: Keep) -> list[str]:
    return [entry.id for entry in catalog.shelf(keep.store, "main")]


def snapshots(keep: Keep) -> set[str]:
    return {each.key for each in keep.store.list("main/snapshots/")}


def decided(figures: dict[str, Any]) -> dict[str, tuple[str, list[str]]]:
    return {each["backup"]: (each["action"], each["reasons"]) for each in figures["decisions"]}


# -- what goes -------------------------------------------------------------------------------------------


def test_a_dry_run_tells_what_the_real_run_then_does(ours: Keep) -> None:
    made = shelve(ours, 1000, 1000, 1000, 1000)
    dry = ours.verb("retention", dry_run=True)
    assert dry.state == "succeeded"
    assert ids(ours) == [each.id for each in made]
    told = decided(dry.record.get("figures"))
    assert [told[each.id][0] for each in made] == ["remove", "remove", "keep", "keep"]
    assert told[made[3].id][1] == ["last 1 of 2"]
    assert not any("verdicts" in each for each in ours.left()), "a dry run writes nothing"
    real = ours.verb("retention")
    assert real.state == "succeeded"
    figures = real.record.get("figures")
    assert decided(figures) == {each: told[each] for each in told if told[each][0] == "remove"}
    assert (figures["removed"], figures["to_keep"]) == (2, 2)
    assert ids(ours) == [made[2].id, made[3].id]
    assert snapshots(ours) == {made[2].object.key, made[3].object.key}
    again = ours.verb("retention")
    assert again.record.get("figures")["to_remove"] == 0


def test_the_newest_verified_one_stays_however_old(ours: Keep) -> None:
    made = shelve(ours, *[1000] * 5)
    verdicts.pronounce(ours.store, "main", made[0].id, "drilled", verdicts.statement())
    bad = verdicts.statement(error=errors.DrillFailed("no"))
    verdicts.pronounce(ours.store, "main", made[1].id, "verified", bad)
    ours.verb("retention")
    assert ids(ours) == [made[0].id, made[3].id, made[4].id]


def test_the_proof_that_a_drill_succeeded_outlives_newer_backups(ours: Keep) -> None:
    made = shelve(ours, *[1000] * 5)
    verdicts.pronounce(ours.store, "main", made[0].id, "drilled", verdicts.statement())
    verdicts.pronounce(ours.store, "main", made[1].id, "verified", verdicts.statement())
    ours.verb("retention")
    assert ids(ours) == [made[0].id, made[1].id, made[3].id, made[4].id]


def test_what_is_not_signed_by_a_trusted_signer_or_cannot_be_read_stays_and_takes_no_place(ours: Keep) -> None:
    made = shelve(ours, *[1000] * 4)
    stranger = put_backup(ours.store, NOW)
    garbage = names.stamp(NOW - timedelta(days=9))
    ours.store.put(names.manifest_key("main", garbage), iter([b"garbage"]))
    done = ours.verb("retention")
    assert ids(ours) == [garbage, made[2].id, made[3].id, stranger.id]
    assert any("cannot be read" in each for each in done.warnings)


def test_an_age_that_contradicts_itself_keeps(ours: Keep) -> None:
    odd = [
        put_backup(ours.store, NOW - timedelta(days=days), created=created)
        for days, created in enumerate(("nonsense", "2000-01-01T00:00:00Z", "2999-01-01T00:00:00Z", "2026-01-01"), 6)
    ]
    ours.settings.encryption.trusted_signers.clear()
    shelve(ours, *[1000] * 3)
    dry = decided(ours.verb("retention", dry_run=True).record.get("figures"))
    assert all(dry[each.id][0] == "keep" and "age" in dry[each.id][1][0] for each in odd)
    assert list(dict.fromkeys(action for action, _ in dry.values())) == ["keep", "remove"]


def test_another_targets_backups_are_not_looked_at(ours: Keep) -> None:
    shelve(ours, *[1000] * 3)
    others = [put_backup(ours.store, NOW - timedelta(days=age), target="main2") for age in range(1, 5)]
    ours.verb("retention")
    assert len(ids(ours)) == 2
    assert [entry.id for entry in catalog.shelf(ours.store, "main2")] == [each.id for each in reversed(others)]


# -- a snapshot that shrank ------------------------------------------------------------------------------


def test_a_shrunken_snapshot_freezes_everything_until_it_is_acknowledged(ours: Keep) -> None:
    made = shelve(ours, 1000, 1000, 300, 300)
    for _ in range(2):
        done = ours.verb("retention")
        assert isinstance(done.error, errors.RetentionFrozen)
        assert made[2].id in str(done.error)
        assert "redkeep acknowledge main" in done.error.hint
        assert len(ids(ours)) == 4
    dry = decided(ours.verb("retention", dry_run=True).record.get("figures"))
    assert dry[made[0].id][1][0].startswith("frozen: ")
    told = retention.acknowledge(
        ours.store, "main", ours.target.backup, ours.settings.encryption.trusted_signers, by="me"
    )
    assert made[2].id in told
    assert ours.verb("retention").error is None
    assert ids(ours) == [made[2].id, made[3].id]
    assert retention.acknowledge(ours.store, "main", ours.target.backup, [ours.signer], by="me") == ""


def test_backups_that_became_neighbours_by_a_removal_are_not_compared(ours: Keep) -> None:
    held = shelve(ours, 1000, 800, 600, 480)[0]  # slowly smaller: no step is a loss, first to last would be
    verdicts.pronounce(ours.store, "main", held.id, "verified", verdicts.statement())
    assert ours.verb("retention").error is None
    assert ids(ours)[0] == held.id
    assert len(ids(ours)) == 3
    put_backup(ours.store, NOW, bytes=460, key=read_signing_key((ours.folder / "signing.pem").read_bytes()))
    assert ours.verb("retention").error is None
    assert len(ids(ours)) == 3


# -- what a killed run left ------------------------------------------------------------------------------


def test_a_run_that_is_killed_at_any_step_is_finished_by_the_next(
    ours: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, steps = retention.open_store, 0
    while True:
        made = shelve(ours, *[1000] * 4)
        dying = Dying(ours.store, steps)
        monkeypatch.setattr(retention, "open_store", lambda dying=dying, **_: dying)
        try:
            ours.verb("retention")
        except Gone:
            there = {entry.manifest.object.key for entry in catalog.shelf(ours.store, "main") if entry.manifest}
            assert there <= snapshots(ours), "whatever has a manifest has its object"
        monkeypatch.setattr(retention, "open_store", real)
        assert ours.verb("retention").error is None
        assert ids(ours) == [made[2].id, made[3].id]
        assert snapshots(ours) == {made[2].object.key, made[3].object.key}
        assert not any("removing" in each for each in ours.left())
        if dying.changes < steps:
            break
        for key in ours.left():
            ours.store.delete(key)
        steps += 1
    assert dying.changes == 10  # settled: twice; for each backup: note, manifest, object, note


def test_leftovers_are_swept_only_when_old_and_not_named_by_a_live_run(ours: Keep) -> None:
    shelve(ours, 1000)
    assert ours.store_folder is not None
    left = [names.snapshot_key("main", names.stamp(NOW), digit * 16, ()) for digit in "1234"]
    uploads = [f"main/snapshots/.{name.rpartition('/')[2]}.1.{'0' * 16}.partial" for name in left]
    for number, key in enumerate([*left, *uploads]):
        path = ours.store_folder / key
        path.write_bytes(b"x")
        if number % 4:  # all but the first are two days old
            os.utime(path, ((NOW - timedelta(days=2)).timestamp(),) * 2)
    client = control.connect(ours.settings.control)
    records = Records(client, ours.settings.control)
    for run, key in (("alive", left[1]), ("waits", left[2]), ("ended", left[3])):
        records.queue(run, task="tasks.backup", target="main")
        records.begin(run, "n", host="h")
        records.note(run, "writing", key)
    records.leave("waits", "n", "waiting", {})
    records.leave("ended", "n", "failed", {})
    done = ours.verb("retention")
    client.close()
    assert done.record.get("figures")["leftovers"] == 2
    remaining = {key for key in [*left, *uploads] if (ours.store_folder / key).exists()}
    assert remaining == {*left[:3], *uploads[:3]}


# -- leases ----------------------------------------------------------------------------------------------


def test_retention_does_not_wait_for_the_targets_lease_but_for_its_own(any_redis: RedisServer, keep: MakeKeep) -> None:
    ours = keep(any_redis, control={"patience": "300ms"})
    client = control.connect(ours.settings.control)
    keys = names.Keys(ours.settings.control.namespace)
    held = lease.acquire(client, keys, ["target:main", "verify:main"], token="t", holder="a backup", ttl=30)
    assert ours.verb("retention").error is None
    held.release()
    lease.acquire(client, keys, ["retention:main"], token="t", holder="another", ttl=30)
    assert isinstance(ours.verb("retention").error, errors.LeaseBusy)
    client.close()


# -- through a worker, and on the command line ----------------------------------------------------------------


def test_a_worker_has_retention_follow_each_good_backup_once(ours: Keep) -> None:
    made = shelve(ours, *[100] * 4)
    config = ours.config_path
    with Running("worker", "backup", "housekeeping", "drill", config=config) as worker:
        worker.until("ready.")
        done = redkeep("run", "backup", "main", "--json", config=config)
        assert done.code == 0, done.err
        backup = done.json

        def followed() -> list[dict[str, Any]]:
            runs = here("history", "main", "--task", "retention", "--json", config=config).json
            return [run for run in runs if run["outcome"] == "succeeded"]

        found = eventually(followed)
        assert len(found) == 1
        assert found[0]["figures"]["removed"] == 3
        assert ids(ours) == [made[3].id, backup["figures"]["backup"]]
        verified = redkeep("run", "verify", "main", "--json", config=config).json
        assert verified["figures"]["backup"] == backup["figures"]["backup"]
        assert verified["figures"]["structure"] == "good"
        dry = redkeep("run", "retention", "main", "--dry-run", "--json", config=config).json
        assert dry["figures"]["dry_run"] is True
        assert len(dry["figures"]["decisions"]) == 2


def test_the_commands_hold_release_and_acknowledge_say_what_they_did(ours: Keep) -> None:
    made = shelve(ours, 1000, 1000, 1000, 100)
    config = ours.config_path
    assert here("hold", made[0].id, "main", "--why", "audit", config=config).code == 0
    listed = here("backups", "main", "--json", config=config).json
    assert [each["retention"]["reasons"][0][:6] for each in listed] == ["last 1", "last 2", "frozen", "held: "]
    told = redkeep("run", "retention", "main", "--inline", config=config)
    assert told.code == errors.RetentionFrozen.code
    assert "redkeep acknowledge main" in told.err
    assert here("acknowledge", "main", "--json", config=config).json["acknowledged"]
    shown = redkeep("run", "retention", "main", "--inline", "--dry-run", config=config).out
    assert f"remove {made[1].id}  no rule keeps it" in shown
    assert f"keep   {made[0].id}  held: audit" in shown
    assert here("release", made[0].id, "main", config=config).code == 0
    assert redkeep("run", "retention", "main", "--inline", config=config).code == 0
    assert ids(ours) == [made[2].id, made[3].id]
    assert "last 1 of 2" in here("backups", "main", config=config).out
    unknown = here("hold", "20200101T000000Z", "main", "--why", "x", config=config)
    assert unknown.code == errors.BackupUnknown.code

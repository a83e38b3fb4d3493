"""A backup is verified by what lies in the store alone, and whatever is wrong with it has a name and a verdict."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rig.commands import here
from rig.keep import Keep
from rig.redis_servers import RedisServer, binary
from rig.saving import fill_slow

from tasks import catalog, errors, names, verdicts, verify
from tasks.manifest import Manifest
from tasks.stream import age
from tasks.verdicts import Verdict

MakeKeep = Callable[..., Keep]


@pytest.fixture
def ours(any_redis: RedisServer, keep: MakeKeep) -> Keep:
    """An installation with one good backup."""
    any_redis.client().mset({f"key:{number}": os.urandom(2000) for number in range(300)})
    made = keep(any_redis, proving=True)
    assert made.attempt().error is None
    return made


def only(keep: Keep) -> Manifest:
    return keep.manifests()[-1]


def examined(keep: Keep, **changes: Any) -> dict[str, Any]:
    options: dict[str, Any] = {
        "identity_files": [keep.folder / "identity0.txt"],
        "trusted": [keep.signer],
        "progress": lambda done, total: None,
        "warn": lambda text: None,
    }
    return verify.examine(keep.store, "main", only(keep).id, **options | changes)


def verdict(keep: Keep) -> Verdict | None:
    return catalog.shelf(keep.store, "main")[-1].verdict


def object_path(keep: Keep) -> Path:
    assert keep.store_folder is not None
    return keep.store_folder / only(keep).object.key


def write_manifest(keep: Keep, manifest: Manifest) -> None:
    keep.store.put(names.manifest_key("main", manifest.id), iter([manifest.body()]))


# -- good ------------------------------------------------------------------------------------------------


def test_a_good_backup_is_verified_and_its_verdict_stands_in_the_store(ours: Keep) -> None:
    before = ours.store.read(names.manifest_key("main", only(ours).id))
    figures = examined(ours, run="r1", by="test")
    assert (figures["structure"], figures["signature"], figures["etag"]) == ("good", "trusted", "same")
    said = json.loads(ours.store.read(f"main/verdicts/{only(ours).id}.json"))["verified"]
    assert (said["ok"], said["run"], said["by"]) == (True, "r1", "test")
    assert said["figures"]["sha256"] == only(ours).plaintext.sha256
    assert ours.store.read(names.manifest_key("main", only(ours).id)) == before, "the manifest never changes"


@pytest.mark.parametrize(("compression", "recipients"), [("none", 0), ("gzip:1", 1), ("zstd:3", 2)])
def test_every_kind_of_sealing_is_verified(
    any_redis: RedisServer, keep: MakeKeep, compression: str, recipients: int
) -> None:
    any_redis.client().set("a", "b")
    ours = keep(any_redis, compression=compression, recipients=recipients)
    ours.attempt()
    assert examined(ours, identity_files=[ours.folder / "identity0.txt"] if recipients else [])["structure"] == "good"


def test_each_servers_backup_is_verified_and_a_checker_too_old_for_it_does_not_judge(
    redis_server: RedisServer, keep: MakeKeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis_server.client().set("a", "b")
    ours = keep(redis_server)
    ours.attempt()
    assert examined(ours, server=redis_server.binary)["structure"] == "good"
    old = binary("redis6")
    if old is None or redis_server.flavour == "redis6":
        return
    monkeypatch.setenv("PATH", "/nowhere")
    figures = examined(ours, server=old)
    assert figures["structure"] == "not judged"
    assert "Redis 6.2" in figures["checker"]
    found = verdict(ours)
    assert found is not None
    assert found.good


def test_without_a_checker_nothing_is_spooled_and_the_structure_is_not_judged(
    ours: Keep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("tempfile.TemporaryFile", None)
    assert examined(ours)["structure"] == "not judged"


def test_an_unsigned_backup_is_a_warning_where_nobody_is_trusted(ours: Keep) -> None:
    write_manifest(ours, only(ours).signed(None))
    told: list[str] = []
    assert examined(ours, trusted=[], warn=told.append)["signature"] == "unchecked"
    assert any("not signed" in each for each in told)


def test_a_copied_store_is_as_good_and_its_etag_is_told(ours: Keep) -> None:
    path = object_path(ours)
    os.utime(path, (1, 1))
    assert examined(ours)["etag"] == "changed"
    found = verdict(ours)
    assert found is not None
    assert found.good


# -- bad -------------------------------------------------------------------------------------------------


def flip(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def test_a_bit_that_flipped_anywhere_is_found(ours: Keep) -> None:
    path = object_path(ours)
    whole = path.read_bytes()
    for at in (0, 40, 200, len(whole) // 2, -1):
        path.write_bytes(whole)
        flip(path, at)
        with pytest.raises((errors.AgeCorrupt, errors.AgeHeaderInvalid, errors.BackupMismatch)):
            examined(ours)
    found = verdict(ours)
    assert found is not None
    assert found.failed
    path.write_bytes(whole)
    examined(ours)
    found = verdict(ours)
    assert found is not None
    assert found.good, "what was found last counts"


@pytest.mark.parametrize("compression", ["none", "zstd:1"])
def test_a_bit_that_flipped_in_the_clear_is_found_by_the_digests(
    any_redis: RedisServer, keep: MakeKeep, compression: str
) -> None:
    any_redis.client().set("a", os.urandom(100_000))
    ours = keep(any_redis, recipients=0, compression=compression)
    ours.attempt()
    flip(object_path(ours), 50_000)
    with pytest.raises((errors.BackupMismatch, errors.CompressionCorrupt)):
        examined(ours)


def test_a_truncated_and_a_missing_object_are_told_before_a_byte_is_fetched(ours: Keep) -> None:
    path = object_path(ours)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(errors.BackupMismatch, match="is not the one"):
        examined(ours)
    path.unlink()
    with pytest.raises(errors.ObjectMissing, match="is gone"):
        examined(ours)
    found = verdict(ours)
    assert found is not None
    assert found.failed
    assert found.verified is not None
    assert (found.verified.error or {})["name"] == "object-missing"


def test_objects_of_two_targets_that_were_swapped_are_found(ours: Keep, any_redis: RedisServer, keep: MakeKeep) -> None:
    any_redis.client().set("key:1", os.urandom(2000))
    assert ours.attempt().error is None
    old, new = (manifest.object.key for manifest in ours.manifests())
    assert ours.store_folder is not None
    shutil.copy(ours.store_folder / old, ours.store_folder / new)
    with pytest.raises(errors.BackupMismatch):
        examined(ours)


def test_a_manifest_of_another_target_or_naming_its_object_is_refused(ours: Keep) -> None:
    manifest = only(ours)
    for changed in ({"target": "other"}, {"id": "20200101T000000Z"}):
        write_manifest(ours, manifest)
        body = manifest.model_copy(update=changed).body()
        ours.store.put(names.manifest_key("main", manifest.id), iter([body]))
        with pytest.raises(errors.ManifestInvalid):
            verify.examine(
                ours.store, "main", manifest.id, identity_files=[], trusted=[], progress=lambda *_: None, warn=str
            )
    stolen = manifest.object.model_copy(update={"key": "other/snapshots/x.rdb"})
    write_manifest(ours, manifest.model_copy(update={"object": stolen}))
    with pytest.raises(errors.ManifestInvalid, match="not a snapshot of main"):
        verify.examine(
            ours.store, "main", manifest.id, identity_files=[], trusted=[], progress=lambda *_: None, warn=str
        )


def test_an_unsigned_a_tampered_and_a_strangers_manifest_are_refused_where_somebody_is_trusted(ours: Keep) -> None:
    manifest = only(ours)
    tampered = manifest.model_copy(update={"created": "2020-01-01T00:00:00Z"})
    for each in (manifest.signed(None), tampered, manifest.signed(Ed25519PrivateKey.generate())):
        write_manifest(ours, each)
        with pytest.raises(errors.SignatureInvalid):
            examined(ours)
        found = verdict(ours)
        assert found is not None
        assert found.failed


def test_a_wrong_or_missing_identity_says_nothing_about_the_backup(ours: Keep, tmp_path: Path) -> None:
    (tmp_path / "wrong.txt").write_text(age.generate_identity())
    with pytest.raises(errors.IdentityMismatch):
        examined(ours, identity_files=[tmp_path / "wrong.txt"])
    with pytest.raises(errors.IdentityMissing):
        examined(ours, identity_files=[])
    assert verdict(ours) is None


def test_an_object_sealed_to_others_than_its_manifest_says_is_the_backups_fault(ours: Keep) -> None:
    path = object_path(ours)
    other = age.recipient_of(age.generate_identity())
    body = b"".join(age.encrypt(iter([b"x" * 1000]), [other]))
    path.write_bytes(body)
    manifest = only(ours)
    facts = manifest.object.model_copy(update={"bytes": len(body)})
    write_manifest(ours, manifest.model_copy(update={"object": facts}).signed(None))
    with pytest.raises(errors.BackupMismatch, match="sealed to others"):
        examined(ours, trusted=[])


def test_a_structure_that_no_server_could_load_is_found_though_every_digest_holds(
    any_redis: RedisServer, keep: MakeKeep
) -> None:
    from tasks.stream import seal
    from tasks.stream.meter import CRC64, Meter, RdbMeter

    any_redis.client().set("a", "b" * 100)
    ours = keep(any_redis)
    ours.attempt()
    plain = ours.open(only(ours)).read_bytes()
    body = plain[:9] + b"\xfb\x01\x00" + b"\x63" + plain[9:-9] + b"\xff"  # an object type that no version has
    body += CRC64.calc(body).to_bytes(8, "little")
    meter, sealed = RdbMeter(), Meter()
    chunks = sealed.through(seal(meter.through(iter([body])), "zstd:1", list(only(ours).recipients)))
    stored = ours.store.put(only(ours).object.key, chunks)
    manifest = only(ours)
    forged = manifest.model_copy(
        update={
            "plaintext": manifest.plaintext.model_copy(
                update={"bytes": meter.size, "sha256": meter.sha256, "crc64": meter.crc64}
            ),
            "object": manifest.object.model_copy(
                update={"bytes": stored.bytes, "sha256": sealed.sha256, "etag": stored.etag}
            ),
        }
    )
    write_manifest(ours, forged.signed(None))
    with pytest.raises(errors.StructureInvalid):
        examined(ours, trusted=[], server=any_redis.binary)


def test_a_store_that_may_only_be_read_still_lets_one_verify(ours: Keep, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise errors.StoreDenied("refused")

    monkeypatch.setattr(type(ours.store), "put_once", refuse)
    told: list[str] = []
    assert examined(ours, warn=told.append)["structure"] == "good"
    assert any("could not be stored" in each for each in told)


# -- as a run --------------------------------------------------------------------------------------------


def test_a_verify_runs_in_the_frame_with_a_lease_of_its_own_while_a_backup_holds_the_targets(
    any_redis: RedisServer, keep: MakeKeep
) -> None:
    fill_slow(any_redis, 1.5)
    ours = keep(any_redis, source="follow", proving=True)
    ours.attempt()
    backing_up = ours.started()
    done = ours.verb("verify")
    assert not backing_up.done(), "verify did not wait for the backup"
    assert backing_up.result(30).error is None
    assert done.error is None
    assert done.record.get("figures")["structure"] == "good"
    assert done.state == "succeeded"


def test_a_failed_verify_is_a_failed_run_and_a_verdict(ours: Keep) -> None:
    object_path(ours).unlink()
    done = ours.verb("verify")
    assert isinstance(done.error, errors.ObjectMissing)
    assert done.state == "failed"
    found = verdict(ours)
    assert found is not None
    assert found.failed
    assert found.verified is not None
    assert found.verified.run == done.run_id


# -- the command -----------------------------------------------------------------------------------------


def test_the_command_needs_the_store_and_an_identity_and_nothing_else(ours: Keep) -> None:
    assert ours.store_folder is not None
    place = ["--store", ours.store_folder.as_uri(), "--json"]
    identity = ["--identity", str(ours.folder / "identity0.txt")]
    done = here("verify", "latest", "main", *place, *identity)
    assert done.code == 0, done.err
    assert done.json["good"] is True
    listed = here("backups", "main", *place).json
    assert listed[0]["verdict"]["verified"]["ok"] is True
    flip(object_path(ours), 5000)
    done = here("verify", only(ours).id, "main", *place, *identity)
    assert done.code == errors.AgeCorrupt.code
    assert done.json["error"]["name"] == "age-corrupt"
    assert here("verify", "20200101T000000Z", "main", *place, *identity).code == errors.BackupUnknown.code


def test_verdicts_of_two_at_a_time_are_both_kept(ours: Keep) -> None:
    good, bad = verdicts.statement(run="v"), verdicts.statement(run="d", error=errors.DrillFailed("no"))
    verdicts.pronounce(ours.store, "main", only(ours).id, "verified", good)
    verdicts.pronounce(ours.store, "main", only(ours).id, "drilled", bad)
    found = verdict(ours)
    assert found is not None
    assert (found.verified, found.drilled) == (good, bad)

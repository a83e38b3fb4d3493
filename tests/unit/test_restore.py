"""The way back: everything is held to the manifest while it passes."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from pathlib import Path

import anycrc
import pytest

from tasks.errors import (
    AgeCorrupt,
    AgeHeaderInvalid,
    BackupMismatch,
    CompressionCorrupt,
    IdentityMismatch,
    IdentityMissing,
    ManifestInvalid,
    ObjectMissing,
    RedkeepError,
    SnapshotCorrupt,
    SnapshotTruncated,
)
from tasks.manifest import Manifest
from tasks.restore import fetch, to_file
from tasks.store import Store, open_store
from tasks.stream import age, seal, stages_of

IDENTITY = age.generate_identity()
KEY = "main/snapshots/20261123T110700Z-1a2b3c4d.rdb"
CRC = anycrc.Model("CRC64-REDIS")


def rdb_of(body: bytes) -> bytes:
    """An RDB as far as the meter looks: header, whatever, end mark, CRC64."""
    whole = b"REDIS0011" + body + b"\xff"
    return whole + CRC.calc(whole).to_bytes(8, "little")


RDB = rdb_of(random.Random(19).randbytes(300_000))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "store").mkdir()
    return open_store((tmp_path / "store").as_uri())


def shipped(
    store: Store, rdb: bytes = RDB, *, compression: str = "zstd:1", recipients: int = 1, **told: object
) -> Manifest:
    """Put it into the store as a backup does; ``told`` replaces what the manifest says."""
    keys = [age.recipient_of(IDENTITY)] * recipients
    sealed = b"".join(seal(iter([rdb]), compression, keys))
    store.put(KEY, iter([sealed]))
    plaintext = {
        "bytes": len(rdb), "sha256": hashlib.sha256(rdb).hexdigest(), "rdb_version": 11,
        "crc64": rdb[-8:][::-1].hex(), "keys": {"0": 3}, "expires": {"0": 1},
    }  # fmt: skip
    body = {"key": KEY, "bytes": len(sealed), "sha256": hashlib.sha256(sealed).hexdigest(), "etag": "x", "parts": 1}
    facts = {
        "format_version": 1, "id": "20261123T110700Z", "target": "main", "slot": None,
        "created": "2026-11-23T11:07:09Z", "task_id": "t", "run_id": "r", "fence": 1,
        "server": {"name": "redis", "version": "7.0.15", "run_id": "x", "role": "master", "mode": "standalone"},
        "source": {"kind": "follow", "exact": True, "seconds": 1.0},
        "plaintext": plaintext, "object": body, "stages": stages_of(compression, keys), "recipients": keys,
        "redkeep_version": "0.1.0",
    }  # fmt: skip
    for name, value in told.items():
        table, _, field = name.partition("__")
        facts[table] = {**facts[table], field: value} if field else value  # type: ignore[dict-item]
    return Manifest.model_validate(facts)


def fetched(store: Store, manifest: Manifest, identities: tuple[str, ...] = (IDENTITY,)) -> bytes:
    return b"".join(fetch(store, manifest, identities))


# -- fetch -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipients", [0, 1])
@pytest.mark.parametrize("compression", ["zstd:1", "zstd:19", "gzip:6", "none"])
def test_what_was_sealed_comes_back(store: Store, compression: str, recipients: int) -> None:
    manifest = shipped(store, compression=compression, recipients=recipients)
    assert fetched(store, manifest, (IDENTITY,) * recipients) == RDB


def test_the_bytes_that_came_are_told_in_passing(store: Store) -> None:
    manifest = shipped(store)
    told: list[int] = []
    for _ in fetch(store, manifest, [IDENTITY], told.append):
        pass
    assert sum(told) == manifest.object.bytes


def test_any_of_several_identities_will_do(store: Store) -> None:
    assert fetched(store, shipped(store), (age.generate_identity(), IDENTITY)) == RDB


def test_a_strangers_identity_opens_nothing(store: Store) -> None:
    with pytest.raises(IdentityMismatch):
        fetched(store, shipped(store), (age.generate_identity(),))


def test_without_an_identity_nothing_is_asked_of_the_store(store: Store) -> None:
    with pytest.raises(IdentityMissing):
        fetch(store, shipped(store, object__key="main/snapshots/gone"), [])


def test_an_object_that_is_gone_is_missed_by_name(store: Store) -> None:
    manifest = shipped(store)
    store.delete(KEY)
    with pytest.raises(ObjectMissing):
        fetched(store, manifest)


def changed(store: Store, change: Callable[[bytes], bytes]) -> None:
    store.put(KEY, iter([change(b"".join(store.get(KEY)))]))


def flipped(at: float) -> Callable[[bytes], bytes]:
    def flip(body: bytes) -> bytes:
        place = int(at * (len(body) - 1))
        return body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]

    return flip


TAMPERED: dict[str, tuple[Callable[[bytes], bytes], str, int, type[RedkeepError]]] = {
    "a bit of the payload": (flipped(0.5), "zstd:1", 1, AgeCorrupt),
    "the last bit": (flipped(1.0), "zstd:1", 1, AgeCorrupt),
    "the end cut off": (lambda body: body[:-40], "zstd:1", 1, AgeCorrupt),
    "cut at a chunk": (lambda body: body[: body.index(b"\n--- ") + 49 + 16 + 65_552], "none", 1, AgeCorrupt),
    "something after the end": (lambda body: body + b"x", "zstd:1", 1, AgeCorrupt),
    "a bit of the header": (flipped(0.00001), "zstd:1", 1, AgeHeaderInvalid),
    "another file": (lambda body: b"hello", "zstd:1", 1, AgeHeaderInvalid),
    "nothing left": (lambda body: b"", "zstd:1", 1, AgeHeaderInvalid),
    "compressed: the end cut off": (lambda body: body[:-10], "zstd:1", 0, CompressionCorrupt),
    "compressed: a bit": (flipped(0.0), "gzip:1", 0, CompressionCorrupt),
    "in the clear: a bit": (flipped(0.5), "none", 0, SnapshotCorrupt),
    "in the clear: the end cut off": (lambda body: body[:-30], "none", 0, SnapshotTruncated),
}


@pytest.mark.parametrize(("change", "compression", "recipients", "error"), TAMPERED.values(), ids=TAMPERED)
def test_a_changed_object_is_refused_by_kind_and_no_file_appears(
    store: Store,
    tmp_path: Path,
    change: Callable[[bytes], bytes],
    compression: str,
    recipients: int,
    error: type[RedkeepError],
) -> None:
    manifest = shipped(store, compression=compression, recipients=recipients)
    changed(store, change)
    with pytest.raises(error):
        to_file(fetch(store, manifest, [IDENTITY]), tmp_path / "dump.rdb")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


@pytest.mark.parametrize(
    "told",
    [
        {"object__sha256": "0" * 64},
        {"object__bytes": 1},
        {"plaintext__sha256": "0" * 64},
        {"plaintext__bytes": 1},
    ],
    ids=lambda told: next(iter(told)),
)
def test_an_object_that_is_whole_but_not_the_manifests_is_refused(
    store: Store, tmp_path: Path, told: dict[str, object]
) -> None:
    manifest = shipped(store, **told)
    with pytest.raises(BackupMismatch):
        to_file(fetch(store, manifest, [IDENTITY]), tmp_path / "dump.rdb")
    assert not (tmp_path / "dump.rdb").exists()


def test_another_backups_object_in_its_place_is_refused(store: Store, tmp_path: Path) -> None:
    manifest = shipped(store)
    shipped(store, rdb_of(random.Random(20).randbytes(300_000)))
    with pytest.raises(BackupMismatch):
        to_file(fetch(store, manifest, [IDENTITY]), tmp_path / "dump.rdb")
    assert not (tmp_path / "dump.rdb").exists()


def test_an_rdb_without_checksum_is_taken_only_where_the_manifest_knows_of_it(store: Store) -> None:
    bare = RDB[:-8] + bytes(8)
    assert fetched(store, shipped(store, bare, plaintext__crc64=None)) == bare
    with pytest.raises(SnapshotCorrupt):
        fetched(store, shipped(store, bare))


def test_stages_that_nobody_knows_are_refused(store: Store) -> None:
    with pytest.raises(ManifestInvalid, match="rot13"):
        fetched(store, shipped(store, stages=("rot13", "age")))

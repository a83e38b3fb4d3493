"""Verifying from every kind of store: sizes, ETags and digests as each of them tells them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rig.shelves import put_backup
from rig.streams import PART, noise

from tasks import catalog, names
from tasks.errors import BackupMismatch
from tasks.manifest import Manifest
from tasks.store import Store
from tasks.stream import age, seal
from tasks.stream.meter import CRC64, Meter, RdbMeter
from tasks.verify import examine

MOMENT = datetime.now(UTC) - timedelta(days=1)
IDENTITY = age.generate_identity()


def rdb(value: bytes) -> bytes:
    """One string under the key "k", as RDB version 9 spells it (rdb.h)."""
    body = b"REDIS0009\xfe\x00\x00\x01k\x80" + len(value).to_bytes(4, "big") + value + b"\xff"
    return body + CRC64.calc(body).to_bytes(8, "little")


def put_sealed(store: Store, value: bytes) -> Manifest:
    """A backup that is all it says, in as many parts as its size asks for."""
    manifest = put_backup(store, MOMENT)
    plain, sealed = RdbMeter(), Meter()
    chunks = seal(plain.through(iter([rdb(value)])), "zstd:1", [age.recipient_of(IDENTITY)])
    stored = store.put(manifest.object.key, sealed.through(chunks))
    content = manifest.plaintext.model_copy(
        update={"bytes": plain.size, "sha256": plain.sha256, "rdb_version": 9, "crc64": plain.crc64}
    )
    object_ = manifest.object.model_copy(
        update={"bytes": stored.bytes, "sha256": sealed.sha256, "etag": stored.etag, "parts": stored.parts}
    )
    made = manifest.model_copy(update={"plaintext": content, "object": object_})
    store.put(names.manifest_key("main", made.id), iter([made.body()]))
    return made


def examined(store: Store, manifest: Manifest, tmp_path: Path) -> dict[str, Any]:
    identity = tmp_path / "identity.txt"
    identity.write_text(IDENTITY)
    return examine(
        store, "main", manifest.id, identity_files=[identity], trusted=[], progress=lambda *_: None, warn=lambda _: None
    )


@pytest.mark.parametrize("size", [10, 2 * PART + 500])
def test_a_backup_in_one_part_or_many_is_good(
    store: Store, kind: str, tmp_path: Path, size: int
) -> None:
    figures = examined(store, put_sealed(store, noise(size)), tmp_path)
    # rclone's server tells one ETag when an upload in parts is completed, and another ever after
    assert figures["etag"] == ("changed" if kind == "rclone" and size > PART else "same")
    assert figures["structure"] in ("good", "not judged")
    verdict = catalog.shelf(store, "main")[0].verdict
    assert verdict is not None
    assert verdict.good


def test_another_object_of_the_same_size_in_its_place_is_found(store: Store, tmp_path: Path) -> None:
    wanted = put_sealed(store, noise(1000))
    other = put_sealed(store, noise(1001)[1:])
    assert (other.object.bytes, other.id) == (wanted.object.bytes, wanted.id)
    store.put(wanted.object.key, store.get(other.object.key))
    store.put(names.manifest_key("main", wanted.id), iter([wanted.body()]))
    with pytest.raises(BackupMismatch):
        examined(store, wanted, tmp_path)
    verdict = catalog.shelf(store, "main")[0].verdict
    assert verdict is not None
    assert verdict.failed

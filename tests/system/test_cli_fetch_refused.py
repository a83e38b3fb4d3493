"""What `redkeep fetch` refuses: a wrong key, a changed object, a stranger's manifest; and no file appears."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rig.backed_up import backed_up, bare, newest, put_back_afterwards
from rig.commands import here
from rig.keep import Keep
from rig.redis_servers import RedisServer

from tasks.demo.lifelike import fill
from tasks.names import manifest_key
from tasks.stream import age


@pytest.fixture(scope="module")
def site(control: RedisServer) -> Iterator[RedisServer]:
    with RedisServer(control.flavour) as server:
        fill(server.client(), 2)
        yield server


@pytest.fixture(scope="module")
def original(site: RedisServer, control: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Keep:
    return backed_up(tmp_path_factory.mktemp("keep"), site, control)


@pytest.fixture
def keep(original: Keep, tmp_path: Path) -> Iterator[Keep]:
    """The same, with a store that the test may spoil."""
    with put_back_afterwards(original, tmp_path / "saved") as spoilable:
        yield spoilable


def refused(keep: Keep, tmp_path: Path, code: int, *arguments: object, wanted: str = "latest") -> str:
    """The fetch fails with that code, and leaves no file. What it said."""
    output = tmp_path / "out" / "dump.rdb"
    output.parent.mkdir(exist_ok=True)
    said = here("fetch", wanted, "main", "-o", output, *arguments, config=keep.config_path)
    assert said.code == code, said.err
    assert list(output.parent.iterdir()) == []
    assert "Traceback" not in said.err
    told = here("fetch", wanted, "main", "-o", output, *arguments, "--json", config=keep.config_path)
    assert told.json["error"]["code"] == code
    return said.err


def test_a_strangers_identity_is_refused(original: Keep, tmp_path: Path) -> None:
    (tmp_path / "stranger.txt").write_text(age.generate_identity())
    assert "identity-mismatch" in refused(original, tmp_path, 71, "--identity", tmp_path / "stranger.txt")


def test_an_identity_that_is_none_is_named(original: Keep, tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello\n")
    said = refused(original, tmp_path, 14, "--identity", tmp_path / "note.txt")
    assert str(tmp_path / "note.txt") in said
    assert str(tmp_path / "nowhere") in refused(original, tmp_path, 79, "--identity", tmp_path / "nowhere")
    assert "is a directory" in refused(original, tmp_path, 79, "--identity", tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    assert "not text" in refused(original, tmp_path, 79, "--identity", tmp_path / "binary")


def test_without_an_identity_it_is_missed(original: Keep, tmp_path: Path) -> None:
    assert original.store_folder is not None
    said = bare("fetch", "latest", "main", "--store", original.store_folder.as_uri(), "-o", tmp_path / "x.rdb")
    assert said.code == 79
    assert "--identity FILE" in said.err
    assert not (tmp_path / "x.rdb").exists()


def test_an_unknown_backup_is_refused(original: Keep, tmp_path: Path) -> None:
    for wanted in ("20250101T000000Z", "yesterday", "../main"):
        assert "backup-unknown" in refused(original, tmp_path, 77, wanted=wanted)


def spoil(keep: Keep, change: Callable[[bytes], bytes]) -> None:
    key = newest(keep).object.key
    keep.store.put(key, iter([change(b"".join(keep.store.get(key)))]))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda body: body[:1000] + bytes([body[1000] ^ 1]) + body[1001:], 72),
        (lambda body: body[:-100], 72),
        (lambda body: b"x" + body, 70),
        (lambda body: b"", 70),
    ],
    ids=["a bit", "the end", "the header", "everything"],
)
def test_a_changed_object_is_refused(keep: Keep, tmp_path: Path, change: Callable[[bytes], bytes], code: int) -> None:
    spoil(keep, change)
    refused(keep, tmp_path, code)


def test_an_object_that_is_gone_is_named(keep: Keep, tmp_path: Path) -> None:
    keep.store.delete(newest(keep).object.key)
    refused(keep, tmp_path, 54)


def test_an_older_object_in_the_newest_ones_place_is_refused(keep: Keep, tmp_path: Path) -> None:
    old, new = keep.manifests()
    body = keep.sealed(old)
    keep.store.put(new.object.key, iter([body]))
    assert "backup-mismatch" in refused(keep, tmp_path, 78)


def test_another_targets_backup_in_place_of_ours_is_refused(keep: Keep, tmp_path: Path) -> None:
    strange = newest(keep).model_copy(update={"target": "other"}).signed(Ed25519PrivateKey.generate())
    keep.store.put(manifest_key("main", strange.id), iter([strange.body()]))
    assert "another backup's" in refused(keep, tmp_path, 74)


def resigned(keep: Keep, key: Ed25519PrivateKey | None) -> None:
    manifest = newest(keep).signed(key)
    keep.store.put(manifest_key("main", manifest.id), iter([manifest.body()]))


def test_a_manifest_without_signature_is_refused_where_signers_are_trusted(keep: Keep, tmp_path: Path) -> None:
    resigned(keep, None)
    assert "is not signed" in refused(keep, tmp_path, 76)


def test_a_manifest_that_a_stranger_signed_is_refused(keep: Keep, tmp_path: Path) -> None:
    resigned(keep, Ed25519PrivateKey.generate())
    assert "signed by a stranger" in refused(keep, tmp_path, 76)


def test_a_manifest_that_was_changed_is_refused(keep: Keep, tmp_path: Path) -> None:
    manifest = json.loads(newest(keep).body())
    manifest["plaintext"]["keys"]["0"] += 1
    keep.store.put(manifest_key("main", manifest["id"]), iter([json.dumps(manifest).encode()]))
    assert "signature" in refused(keep, tmp_path, 76)


def test_a_manifest_of_a_later_format_is_refused(keep: Keep, tmp_path: Path) -> None:
    manifest = json.loads(newest(keep).body()) | {"format_version": 99}
    keep.store.put(manifest_key("main", manifest["id"]), iter([json.dumps(manifest).encode()]))
    assert "Update redkeep" in refused(keep, tmp_path, 75)


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    for store, code in (((tmp_path / "gone").as_uri(), 57), ("ftp://x/y", 57), ("s3:///x", 57)):
        said = here("backups", "main", "--store", store)
        assert said.code == code, said.err
        assert "Traceback" not in said.err

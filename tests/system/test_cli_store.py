"""backups and fetch: what a store holds and how it comes back, with settings, and with nothing but store and key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig import s3
from rig.backed_up import backed_up, bare, newest, put_back_afterwards
from rig.commands import REDKEEP, environment, here, in_terminal, run
from rig.keep import Keep
from rig.redis_servers import RedisServer, load

from tasks.demo.lifelike import fill
from tasks.names import manifest_key


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


def identity(keep: Keep) -> Path:
    return keep.folder / "identity0.txt"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


# -- backups -----------------------------------------------------------------------------------------------------------


def test_backups_are_listed_newest_first(original: Keep) -> None:
    said = here("backups", "main", config=original.config_path)
    assert (said.code, said.err) == (0, "")
    header, *rows = said.out.splitlines()
    columns = "BACKUP AGE RDB STORED KEYS SERVER SOURCE SEALED PROVEN RETENTION"
    assert header.split() == columns.split()
    assert [row.split()[0] for row in rows] == [each.id for each in reversed(original.manifests())]
    assert all("follow zstd:1 age signed" in row for row in rows)
    assert "keep: last 1 of 3" in rows[0]
    assert "20261123T110700Z" in said.out


def test_with_json_they_are_the_manifests_and_what_is_known_beside(original: Keep) -> None:
    told = here("backups", "main", "--json", config=original.config_path).json
    beside = [{name: each.pop(name) for name in ("verdict", "hold", "retention", "notes")} for each in told]
    assert told == [each.model_dump(mode="json") for each in reversed(original.manifests())]
    assert [each["retention"]["action"] for each in beside] == ["keep", "keep"]
    assert [(each["verdict"], each["hold"], each["notes"]) for each in beside] == [(None, None, [])] * 2


def test_a_target_without_backups_says_who_has_some(original: Keep) -> None:
    said = here("backups", "other", config=original.config_path)
    assert (said.code, said.out) == (0, "")
    assert said.err.endswith("Targets with backups there: main.\n")
    assert here("backups", "other", "--json", config=original.config_path).json == []


def test_a_manifest_that_cannot_be_read_is_in_the_list(keep: Keep) -> None:
    broken = newest(keep)
    keep.store.put(manifest_key("main", broken.id), iter([b"{"]))
    said = here("backups", "main", config=keep.config_path)
    assert said.code == 0
    assert "unreadable: not a manifest (not JSON)" in said.out
    told = here("backups", "main", "--json", config=keep.config_path).json
    assert told[0].items() >= {"id": broken.id, "problem": "not a manifest (not JSON)"}.items()
    assert told[0]["retention"]["action"] == "keep"


# -- fetch, with settings ----------------------------------------------------------------------------------------------


def test_the_newest_comes_back_whole_and_a_server_loads_it(original: Keep, site: RedisServer, tmp_path: Path) -> None:
    said = here("fetch", "latest", "main", "-o", tmp_path / "dump.rdb", config=original.config_path)
    assert (said.code, said.out) == (0, "")
    plain = newest(original).plaintext
    assert plain.sha256 in said.err
    assert sha256(tmp_path / "dump.rdb") == plain.sha256
    assert (tmp_path / "dump.rdb").stat().st_mode & 0o777 == 0o600
    with load(site.flavour, tmp_path / "dump.rdb") as loaded:
        assert {str(db): keys for db, (keys, _) in loaded.counts().items()} == plain.keys
        assert loaded.digest() == site.digest()


def test_one_is_fetched_by_its_id_and_json_tells_what_came(original: Keep, tmp_path: Path) -> None:
    path = tmp_path / "dump.rdb"
    said = here("fetch", "20261123T110700Z", "main", "-o", path, "--json", config=original.config_path)
    assert (said.code, said.err) == (0, "")
    told = said.json
    assert (told["id"], told["target"], told["output"]) == ("20261123T110700Z", "main", str(path))
    assert told["sha256"] == sha256(path)
    assert told["bytes"] == path.stat().st_size
    assert sum(told["keys"].values()) > 0


def test_a_terminal_shows_a_bar_and_gets_no_binary(original: Keep, tmp_path: Path) -> None:
    seen = in_terminal("fetch", "latest", "main", "-o", tmp_path / "dump.rdb", config=original.config_path)
    assert seen.code == 0
    assert "fetch" in seen.out
    assert "━" in seen.out
    refused = in_terminal("fetch", "latest", "main", "-o", "-", config=original.config_path)
    assert refused.code == 64
    assert "send it into a pipe or a file" in refused.out


def test_a_file_that_is_there_is_kept_unless_forced(original: Keep, tmp_path: Path) -> None:
    path = tmp_path / "dump.rdb"
    path.write_bytes(b"precious")
    said = here("fetch", "latest", "main", "-o", path, config=original.config_path)
    assert said.code == 15
    assert path.read_bytes() == b"precious"
    assert here("fetch", "latest", "main", "-o", path, "--force", config=original.config_path).code == 0
    assert sha256(path) == newest(original).plaintext.sha256


# -- fetch, with nothing but the store and the identity ----------------------------------------------------------------


def test_a_folder_and_an_identity_are_enough(original: Keep, tmp_path: Path) -> None:
    assert original.store_folder is not None
    store = ["--store", original.store_folder.as_uri()]
    listed = bare("backups", "main", *store, "--json")
    assert [each["id"] for each in listed.json] == [each.id for each in reversed(original.manifests())]
    fetched = bare(
        "fetch", "latest", "main", *store, "--identity", identity(original), "-o", tmp_path / "dump.rdb"
    )
    assert fetched.code == 0, fetched.err
    assert "only its integrity is checked, not who made it" in fetched.err
    assert sha256(tmp_path / "dump.rdb") == newest(original).plaintext.sha256


def test_a_bucket_and_an_identity_are_enough(
    site: RedisServer, control: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with s3.rclone(tmp_path / "s3") as server:
        server.make_bucket("site-backups")
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        keep = Keep(
            tmp_path, site.url, control.url, data_dir=site.dir,
            store_url="s3://site-backups/redis", endpoint_url=server.endpoint_url,
        )  # fmt: skip
        assert keep.attempt().error is None
        store = ["--store", "s3://site-backups/redis", "--endpoint-url", server.endpoint_url, "--region", "us-east-1"]
        keys = {name: value for name, value in server.environment.items() if "KEY" in name}
        assert len(bare("backups", "main", *store, "--json", **keys).json) == 1
        fetched = bare(
            "fetch", "latest", "main", *store, "--identity", identity(keep), "-o", tmp_path / "x.rdb", **keys
        )
        assert fetched.code == 0, fetched.err
        assert sha256(tmp_path / "x.rdb") == newest(keep).plaintext.sha256
        nobody = bare("backups", "main", *store, AWS_EC2_METADATA_DISABLED="true")
        assert nobody.code in (51, 57)
        assert "Traceback" not in nobody.err


def test_through_a_pipe_the_bytes_are_the_same(original: Keep, tmp_path: Path) -> None:
    path = tmp_path / "dump.rdb"
    said = run(
        ["sh", "-c", f"{REDKEEP} fetch latest main -o - | cat > {path}"], env=environment(original.config_path)
    )
    assert (said.code, said.out) == (0, "")
    assert sha256(path) == newest(original).plaintext.sha256


def test_a_pipe_that_closes_early_is_an_error_since_what_it_got_is_not_whole(original: Keep) -> None:
    script = f"set -o pipefail; {REDKEEP} fetch latest main -o - | head -c 9"
    said = run(["bash", "-c", script], env=environment(original.config_path))
    assert said.code == 16
    assert said.out.startswith(("REDIS", "VALKEY"))
    assert said.err.splitlines()[0] == "redkeep: whoever reads the output has stopped"
    assert "Exception" not in said.err

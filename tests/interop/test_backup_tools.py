"""A backup is an RDB to everyone: stock age, zstd and gzip open it, redis-check-rdb judges it, a server loads it."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rig.keep import Attempt, Keep
from rig.redis_servers import FLAVOURS, RedisServer, binary, load, why_missing

from tasks.demo.lifelike import fill
from tasks.manifest import Manifest
from tasks.stream import age

pytestmark = pytest.mark.usefixtures("stock_tools")


@pytest.fixture
def stock_tools(require_tool: Callable[[str], str]) -> None:
    for tool in ("age", "zstd", "gzip"):
        require_tool(tool)


@pytest.fixture(scope="module")
def control() -> Iterator[RedisServer]:
    flavour = next((each for each in ("redis7", "valkey9", "redis8") if binary(each) is not None), None)
    if flavour is None:
        pytest.skip("; ".join(map(why_missing, FLAVOURS)))
    with RedisServer(flavour) as server:
        yield server


@pytest.fixture(scope="module", params=FLAVOURS)
def site(request: pytest.FixtureRequest) -> Iterator[RedisServer]:
    """A server of each flavour with a site's data in it, which nobody changes."""
    flavour: str = request.param
    if binary(flavour) is None:
        pytest.skip(why_missing(flavour))
    with RedisServer(flavour, repl_diskless_sync_delay=0, repl_diskless_sync="yes") as server:
        fill(server.client(), 4)
        yield server


@dataclass
class Shipped:
    """A backup, and what it was taken from."""

    keep: Keep
    attempt: Attempt
    server: RedisServer
    rdb: Path

    @property
    def manifest(self) -> Manifest:
        assert self.attempt.manifest is not None
        return self.attempt.manifest


@pytest.fixture(scope="module", params=["follow", "stream"])
def shipped(
    request: pytest.FixtureRequest, site: RedisServer, control: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Shipped:
    """One backup of each server by each source."""
    keep = Keep(
        tmp_path_factory.mktemp("keep"), site.url, control.url, data_dir=site.dir, source=request.param, recipients=2
    )
    attempt = keep.attempt()
    assert attempt.error is None
    assert attempt.manifest is not None
    assert attempt.manifest.source.kind == request.param
    return Shipped(keep, attempt, site, keep.open(attempt.manifest))


def by_database(counts: dict[int, tuple[int, int]]) -> tuple[dict[str, int], dict[str, int]]:
    """As a manifest has them."""
    return {str(db): keys for db, (keys, _) in counts.items()}, {str(db): some for db, (_, some) in counts.items()}


def check_rdb(server: RedisServer, rdb: Path) -> str:
    """What the server's own checker says; it is the same program, called by that name."""
    command = subprocess.run(
        ["redis-check-rdb", str(rdb)], executable=server.binary, capture_output=True, text=True, timeout=60, check=True
    )
    return command.stdout


def test_what_stock_age_and_zstd_give_has_the_digest_and_size_of_the_manifest(shipped: Shipped) -> None:
    body = shipped.rdb.read_bytes()
    plaintext = shipped.manifest.plaintext
    assert (len(body), hashlib.sha256(body).hexdigest()) == (plaintext.bytes, plaintext.sha256)
    sealed, stored = shipped.keep.sealed(shipped.manifest), shipped.manifest.object
    assert (len(sealed), hashlib.sha256(sealed).hexdigest()) == (stored.bytes, stored.sha256)


def test_every_recipient_opens_it_and_a_stranger_does_not(shipped: Shipped) -> None:
    assert shipped.keep.open(shipped.manifest, identity=1).read_bytes() == shipped.rdb.read_bytes()
    assert list(shipped.manifest.recipients) == [age.recipient_of(each) for each in shipped.keep.identities]
    (shipped.keep.folder / "identity2.txt").write_text(age.generate_identity())
    with pytest.raises(subprocess.CalledProcessError):
        shipped.keep.open(shipped.manifest, identity=2)


def test_a_server_of_the_same_flavour_loads_it_with_the_counts_of_the_manifest(shipped: Shipped) -> None:
    plaintext = shipped.manifest.plaintext
    with load(shipped.server.flavour, shipped.rdb) as loaded:
        assert by_database(loaded.counts()) == (plaintext.keys, plaintext.expires)
        assert loaded.digest() == shipped.server.digest()
    assert set(plaintext.keys) == {"0", "1"}
    assert shipped.manifest.source.exact == (shipped.manifest.source.kind == "follow")


def test_the_servers_own_checker_agrees_on_version_and_checksum(shipped: Shipped) -> None:
    said = check_rdb(shipped.server, shipped.rdb)
    assert "Checksum OK" in said
    assert "RDB looks OK" in said
    body, plaintext = shipped.rdb.read_bytes(), shipped.manifest.plaintext
    assert int.from_bytes(body[-8:], "little") == int(plaintext.crc64 or "", 16)
    assert plaintext.rdb_version == int(body[:9].lstrip(b"REDISVALKY"))


def test_the_manifest_is_signed_and_a_changed_one_is_not(shipped: Shipped) -> None:
    assert shipped.manifest.authenticate([shipped.keep.signer])
    changed = shipped.manifest.model_copy(update={"target": "other"})
    with pytest.raises(Exception, match="signature"):
        changed.authenticate([shipped.keep.signer])


def test_the_manifest_says_whose_it_is(shipped: Shipped) -> None:
    facts, info = shipped.manifest.server, shipped.server.client().info("server")
    assert facts.name == ("valkey" if shipped.server.flavour == "valkey9" else "redis")
    assert facts.version == info.get("valkey_version", info["redis_version"])
    assert (facts.run_id, facts.role, facts.mode) == (info["run_id"], "master", "standalone")
    assert shipped.manifest.source.fork_usec


@pytest.mark.parametrize(
    ("compression", "recipients", "suffix"),
    [
        ("gzip:1", 1, ".rdb.gz.age"),
        ("gzip:9", 0, ".rdb.gz"),
        ("none", 1, ".rdb.age"),
        ("none", 0, ".rdb"),
        ("zstd:19", 0, ".rdb.zst"),
        ("zstd:3", 3, ".rdb.zst.age"),
    ],
)
def test_the_suffix_tells_which_tools_open_it(
    any_redis: RedisServer, control: RedisServer, tmp_path: Path, compression: str, recipients: int, suffix: str
) -> None:
    fill(any_redis.client(), 1)
    keep = Keep(
        tmp_path, any_redis.url, control.url, data_dir=any_redis.dir, compression=compression, recipients=recipients
    )
    manifest = keep.attempt().manifest
    assert manifest is not None
    assert manifest.object.key.endswith(f"Z-{manifest.run_id[:8]}{suffix}")
    opened = keep.open(manifest).read_bytes()
    assert (len(opened), hashlib.sha256(opened).hexdigest()) == (manifest.plaintext.bytes, manifest.plaintext.sha256)

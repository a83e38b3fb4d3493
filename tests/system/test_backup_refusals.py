"""What stands in a backup's way: each has its own error and hint, is recorded, and leaves nothing behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rig import s3
from rig.faulty_s3 import Answer, faulty
from rig.keep import Attempt, Keep, as_nobody, eventually
from rig.redis_servers import RedisServer
from rig.saving import fill_slow, forks, settings_are_back, temps

from tasks.errors import (
    BucketMissing,
    RedkeepError,
    ReplicaStale,
    ServerAuthFailed,
    ServerDenied,
    ServerIsReplica,
    ServerLoading,
    ServerUnreachable,
    StoreDenied,
    StoreFull,
    StoreUnreachable,
    StoreUnusable,
)

MakeKeep = Callable[..., Keep]
both_sources = pytest.mark.parametrize("source", ["follow", "stream"])


def assert_refused(ours: Keep, attempt: Attempt, kind: type[RedkeepError], state: str, hint: str) -> None:
    """The first error is the one shown; it says what to do; nothing is left, in the store or in the control Redis."""
    assert type(attempt.error) is kind, attempt.error
    assert attempt.state == state
    assert attempt.shown == attempt.error.as_dict()
    assert hint in attempt.error.hint
    assert attempt.manifest is None
    assert ours.left() == []
    assert ours.lease_holder() is None


# -- the server -------------------------------------------------------------------------------------------------------


@both_sources
def test_a_server_that_is_down(any_redis: RedisServer, keep: MakeKeep, source: str) -> None:
    any_redis.kill()
    ours = keep(any_redis, source=source)
    attempt = ours.attempt()
    assert_refused(ours, attempt, ServerUnreachable, "waiting", "[[target]] url")
    assert "Connection refused" in attempt.shown["message"]


@both_sources
@pytest.mark.parametrize("login", ["", ":wrong@", "nobody:wrong@"])
def test_a_login_that_is_not_accepted(any_redis: RedisServer, keep: MakeKeep, source: str, login: str) -> None:
    with RedisServer(any_redis.flavour, password="right") as server:
        ours = keep(server, url=f"redis://{login}127.0.0.1:{server.port}", source=source)
        attempt = ours.attempt()
        assert_refused(ours, attempt, ServerAuthFailed, "failed", "user and password")
        assert "wrong" not in str(attempt.record.fields)
        assert forks(server) == 0


@both_sources
@pytest.mark.parametrize("command", ["BGSAVE", "CONFIG", "INFO", "SYNC", "REPLCONF"])
def test_a_command_that_is_renamed(any_redis: RedisServer, keep: MakeKeep, source: str, command: str) -> None:
    needed = {"follow": ("BGSAVE", "CONFIG", "INFO"), "stream": ("INFO", "SYNC", "REPLCONF")}[source]
    config = {"repl_diskless_sync": "yes", "repl_diskless_sync_delay": 0}
    with RedisServer(any_redis.flavour, rename_command=f"{command} hidden", **config) as server:
        server.client().set("key", "value")
        ours = keep(server, source=source)
        attempt = ours.attempt()
        if command not in needed:
            assert attempt.error is None
            return
        assert_refused(ours, attempt, ServerDenied, "failed", f"{command} is renamed or switched off")
        assert not temps(server.dir)


@both_sources
def test_a_server_that_is_loading(any_redis: RedisServer, keep: MakeKeep, source: str) -> None:
    with RedisServer(any_redis.flavour) as server:
        fill_slow(server, 0, keys=60, size=400_000)
        server.client().save()
        server.restart(wait_loaded=False, key_load_delay=100_000, loading_process_events_interval_bytes=65_536)
        ours = keep(server, source=source, control={"patience": "200ms"})
        attempt = ours.attempt()
        assert_refused(ours, attempt, ServerLoading, "waiting", "when that is done")


@both_sources
def test_a_server_that_has_loaded_in_time(any_redis: RedisServer, keep: MakeKeep, source: str) -> None:
    config = {"repl_diskless_sync": "yes", "repl_diskless_sync_delay": 0}
    with RedisServer(any_redis.flavour, **config) as server:
        fill_slow(server, 0, keys=20, size=400_000)
        server.client().save()
        server.restart(wait_loaded=False, key_load_delay=20_000, loading_process_events_interval_bytes=65_536)
        ours = keep(server, source=source, control={"patience": "20s"})
        attempt = ours.attempt()
        assert attempt.error is None
        assert attempt.manifest is not None
        assert attempt.manifest.plaintext.keys == {"0": 20}


@both_sources
def test_a_replica_is_refused_unless_it_is_meant_and_its_link_is_up(
    redis_flavour: str, keep: MakeKeep, source: str
) -> None:
    config = {"repl_diskless_sync": "yes", "repl_diskless_sync_delay": 0}
    with RedisServer(redis_flavour, **config) as primary:
        primary.client().set("key", "value")
        with RedisServer(redis_flavour, replicaof=f"127.0.0.1 {primary.port}", **config) as replica:
            eventually(lambda: replica.client().info("replication")["master_link_status"] == "up")
            before = forks(replica)
            refused, meant = keep(replica, source=source), keep(replica, source=source, replica="accept")
            assert_refused(refused, refused.attempt(), ServerIsReplica, "failed", 'replica = "accept"')
            assert forks(replica) == before
            accepted = meant.attempt()
            assert accepted.error is None
            assert accepted.manifest is not None
            assert accepted.manifest.server.role == "slave"
            assert accepted.manifest.plaintext.keys == {"0": 1}
            eventually(lambda: replica.client().info("replication")["connected_slaves"] == 0)
            primary.kill()
            eventually(lambda: replica.client().info("replication")["master_link_status"] == "down")
            stale = meant.attempt()
            assert isinstance(stale.error, ReplicaStale)
            assert stale.state == "waiting"
            assert [each.id for each in meant.manifests()] == [accepted.manifest.id]


# -- the store --------------------------------------------------------------------------------------------------------


def test_a_bucket_that_is_missing(any_redis: RedisServer, keep: MakeKeep, moto: s3.Server, bucket: str) -> None:
    missing = "s3://no-such-bucket/site"
    ours = keep(any_redis, source="follow", store_url=missing, endpoint_url=moto.endpoint_url)
    attempt = ours.attempt()
    assert isinstance(attempt.error, BucketMissing)
    assert "no-such-bucket" in attempt.error.message
    assert "Create the bucket" in attempt.error.hint
    assert attempt.state == "failed"
    assert forks(any_redis) == 0, "it is known before any fork"


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("operation", ["head", "create", "part", "put"])
def test_access_that_is_denied(
    any_redis: RedisServer, keep: MakeKeep, moto: s3.Server, bucket: str, operation: str
) -> None:
    fill_slow(any_redis, 0, keys=30, size=300_000)
    with faulty(moto.endpoint_url) as proxy:
        ours = keep(
            any_redis, source="follow", store_url=bucket, endpoint_url=proxy.endpoint_url, behind=moto.endpoint_url
        )
        proxy.faults[operation] = iter([Answer(403, "AccessDenied")])
        attempt = ours.attempt()
    assert_refused(ours, attempt, StoreDenied, "failed", "Allow s3:")
    assert forks(any_redis) == (0 if operation == "head" else 1)
    assert settings_are_back(any_redis)


def test_missing_credentials(
    any_redis: RedisServer, keep: MakeKeep, moto: s3.Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = keep(any_redis, source="follow", store_url=bucket, endpoint_url=moto.endpoint_url)
    with monkeypatch.context() as patch:
        patch.delenv("AWS_ACCESS_KEY_ID")
        patch.delenv("AWS_SECRET_ACCESS_KEY")
        attempt = ours.attempt()
    assert_refused(ours, attempt, StoreUnusable, "failed", "AWS_ACCESS_KEY_ID")
    assert forks(any_redis) == 0


@pytest.mark.usefixtures("hasty")
def test_an_endpoint_that_cannot_be_reached(
    any_redis: RedisServer, keep: MakeKeep, moto: s3.Server, bucket: str
) -> None:
    closed = "http://127.0.0.1:9"
    ours = keep(any_redis, source="follow", store_url=bucket, endpoint_url=closed, behind=moto.endpoint_url)
    attempt = ours.attempt()
    assert_refused(ours, attempt, StoreUnreachable, "waiting", "endpoint_url")
    assert forks(any_redis) == 0


@both_sources
def test_a_folder_that_is_full(any_redis: RedisServer, keep: MakeKeep, small_disk: Path, source: str) -> None:
    with RedisServer(any_redis.flavour, repl_diskless_sync="yes", repl_diskless_sync_delay=0) as server:
        fill_slow(server, 0, keys=40, size=300_000)
        ours = keep(server, source=source, store_url=small_disk.as_uri())
        attempt = ours.attempt()
        assert_refused(ours, attempt, StoreFull, "waiting", "Make room")
        assert [each for each in small_disk.rglob("*") if each.is_file()] == []
        assert settings_are_back(server)
        server.client().flushall()
        assert ours.attempt(attempt.run_id).error is None


def test_a_disk_that_is_full_when_the_manifest_comes(any_redis: RedisServer, keep: MakeKeep, small_disk: Path) -> None:
    """The snapshot fits to the page; the manifest does not."""
    any_redis.client().set("noise", os.urandom(1_001_000))
    ours = keep(any_redis, source="follow", store_url=small_disk.as_uri())
    first = ours.attempt().manifest
    assert first is not None
    for path in small_disk.glob("main/*/*"):
        path.unlink()
    page = os.statvfs(small_disk).f_bsize
    pages = -(-first.object.bytes // page)
    (small_disk / "filling").write_bytes(bytes((os.statvfs(small_disk).f_bavail - pages) * page))
    attempt = ours.attempt()
    assert isinstance(attempt.error, StoreFull)
    assert "main/manifests/" in attempt.error.message
    assert [each.name for each in small_disk.rglob("*") if each.is_file()] == ["filling"]


def test_a_folder_that_is_not_there(any_redis: RedisServer, keep: MakeKeep, tmp_path: Path) -> None:
    ours = keep(any_redis, source="follow", store_url=(tmp_path / "unmounted").as_uri())
    attempt = ours.attempt()
    assert isinstance(attempt.error, StoreUnusable)
    assert "mount its disk" in attempt.error.hint
    assert not (tmp_path / "unmounted").exists()
    assert forks(any_redis) == 0


def test_a_folder_that_may_not_be_written(any_redis: RedisServer, keep: MakeKeep, public: Path) -> None:
    any_redis.dir.parent.chmod(0o755)
    any_redis.dir.chmod(0o755)
    ours = keep(any_redis, source="follow", folder=public)
    with as_nobody():
        attempt = ours.attempt()
    assert_refused(ours, attempt, StoreDenied, "failed", "write")
    assert settings_are_back(any_redis)

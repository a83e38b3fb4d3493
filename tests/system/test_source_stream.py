"""`stream` against real servers: every form of the transfer, every way to connect, and every way it ends early."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from rig import s3
from rig.certificates import certify
from rig.faulty_s3 import Answer, faulty
from rig.keep import Attempt, Keep, eventually
from rig.ports import ReservedPort
from rig.redis_servers import RedisServer, ServerDied, binary, why_missing
from rig.saving import fill_slow, is_saving, slow_down
from rig.whole import assert_no_phantom, assert_whole
from rig.wire import Wire

import tasks.backup
from tasks.errors import RunCancelled, ServerUnreachable, SnapshotTruncated, StoreDenied

sync = import_module("tasks.stream.source.sync")  # the package has a function of that name

MakeKeep = Callable[..., Keep]


def streaming(redis_flavour: str, diskless: str = "yes", **config: object) -> RedisServer:
    """A server of which a snapshot can be streamed at once."""
    return RedisServer(redis_flavour, **{"repl_diskless_sync": diskless, "repl_diskless_sync_delay": 0} | config)


def assert_streamed(keep: Keep, attempt: Attempt, server: RedisServer) -> None:
    assert_whole(keep, attempt, server)
    assert attempt.manifest is not None
    assert attempt.manifest.source.kind == "stream"
    assert not attempt.manifest.source.exact
    assert_no_phantom(server)


# -- the forms of a transfer -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("diskless", "header"), [("yes", b"$EOF:"), ("no", b"$")])
@pytest.mark.parametrize("megabytes", [0, 3])
def test_both_forms_of_a_transfer_give_the_whole_snapshot(
    redis_flavour: str, keep: MakeKeep, diskless: str, header: bytes, megabytes: int
) -> None:
    seen = []
    with streaming(redis_flavour, diskless) as server, Wire(server.port) as wire:
        if megabytes:
            fill_slow(server, 0, keys=megabytes, size=1_000_000)
        wire.when_answered(b"$EOF:", lambda: seen.append(b"$EOF:"))
        ours = keep(server, url=wire.url, source="stream")
        assert_streamed(ours, ours.attempt(), server)
        assert bool(seen) == (header == b"$EOF:")
        assert (server.dir / "dump.rdb").exists() == (diskless == "no")


def test_valkey_streams_what_only_its_newest_rdb_can_hold(keep: MakeKeep) -> None:
    """Whoever does not say how new he is gets an RDB as of version 7.2, or none."""
    if binary("valkey9") is None:
        pytest.skip(why_missing("valkey9"))
    with streaming("valkey9") as server:
        server.client().execute_command("HSETEX", "hash", "EX", "1000", "FIELDS", "1", "field", "value")
        attempts = [keep(server, source=source).attempt() for source in ("stream", "follow")]
        assert [attempt.error for attempt in attempts] == [None, None]
        versions = [each.manifest.plaintext.rdb_version for each in attempts if each.manifest is not None]
        assert versions == [80, 80]
        assert_no_phantom(server)


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_newlines_before_the_header_only_keep_us_alive(any_redis: RedisServer, keep: MakeKeep, diskless: str) -> None:
    with streaming(any_redis.flavour, diskless, repl_diskless_sync_delay=2) as server, Wire(server.port) as wire:
        fill_slow(server, 0 if diskless == "yes" else 1.6)
        ours = keep(server, url=wire.url, source="stream")
        assert_streamed(ours, ours.attempt(), server)
        assert b"\n" in wire.short_answers


@pytest.mark.parametrize("piece", [1, 39, 41])
@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_headers_and_marks_may_come_in_pieces(
    any_redis: RedisServer, keep: MakeKeep, piece: int, diskless: str
) -> None:
    with streaming(any_redis.flavour, diskless) as server, Wire(server.port) as wire:
        server.client().set("key", os.urandom(1000))
        wire.piece = piece
        ours = keep(server, url=wire.url, source="stream")
        assert_streamed(ours, ours.attempt(), server)


@pytest.mark.parametrize("over", [-40, -39, -1, 0, 1, 40])
def test_a_mark_that_straddles_our_buffer_is_found(
    any_redis: RedisServer, keep: MakeKeep, monkeypatch: pytest.MonkeyPatch, over: int
) -> None:
    with streaming(any_redis.flavour) as server:
        server.client().set("key", os.urandom(1000))
        first = keep(server, source="stream").attempt().manifest
        assert first is not None
        monkeypatch.setattr(sync, "CHUNK", first.plaintext.bytes + over)
        ours = keep(server, source="stream")
        assert_streamed(ours, ours.attempt(), server)


# -- ways to connect ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["follow", "stream"])
def test_a_unix_socket_will_do(any_redis: RedisServer, keep: MakeKeep, source: str) -> None:
    with streaming(any_redis.flavour, unix_socket=True, password="p@ss/w rd") as server:
        server.client().set("key", "value")
        attempt = keep(server, url=server.unix_url, source=source).attempt()
        assert attempt.error is None
        assert attempt.manifest is not None
        assert attempt.manifest.plaintext.keys == {"0": 1}


@pytest.mark.parametrize("source", ["follow", "stream"])
def test_a_user_of_its_own_and_a_database_in_the_url_will_do(redis_flavour: str, keep: MakeKeep, source: str) -> None:
    with streaming(redis_flavour, users=["keeper on >s%cret +@all"]) as server:
        server.client(db=3).set("key", "value")
        attempt = keep(server, url=f"redis://keeper:s%25cret@127.0.0.1:{server.port}/3", source=source).attempt()
        assert attempt.error is None
        assert attempt.manifest is not None
        assert attempt.manifest.plaintext.keys == {"3": 1}


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_tls_will_do(keep: MakeKeep, tmp_path: Path, diskless: str) -> None:
    if binary("redis7") is None:
        pytest.skip(why_missing("redis7"))
    certificate, key = certify(tmp_path)
    port = ReservedPort()
    tls = {"tls_port": port.number, "tls_cert_file": certificate, "tls_key_file": key, "tls_auth_clients": "no"}
    try:
        server = streaming("redis7", diskless, **tls).__enter__()
    except ServerDied as died:
        port.release()
        if "TLS" in str(died) or "tls" in str(died):
            pytest.skip("this redis-server was built without TLS")
        raise
    with server:
        fill_slow(server, 0, keys=30, size=100_000)
        ours = keep(server, url=f"rediss://127.0.0.1:{port.number}?ssl_ca_certs={certificate}", source="stream")
        assert_streamed(ours, ours.attempt(), server)
        stranger = keep(server, url=f"rediss://127.0.0.1:{port.number}", source="stream").attempt()
        assert isinstance(stranger.error, ServerUnreachable)
        assert "certificate" in stranger.error.detail.lower()
    port.release()


# -- what ends early ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("diskless", ["yes", "no"])
@pytest.mark.parametrize("where", [0.0, 0.5, 1.0])
def test_a_connection_cut_in_the_middle_leaves_no_backup(
    any_redis: RedisServer, keep: MakeKeep, diskless: str, where: float
) -> None:
    with streaming(any_redis.flavour, diskless) as server, Wire(server.port) as wire:
        fill_slow(server, 0, keys=10, size=300_000)
        wire.cut_after(b"SYNC\r\n", 60 + int(where * 3_000_000))
        ours = keep(server, url=wire.url, source="stream")
        attempt = ours.attempt()
        assert isinstance(attempt.error, SnapshotTruncated)
        assert attempt.state == "waiting"
        assert ours.left() == []
        assert_no_phantom(server)
        assert_streamed(ours, ours.attempt(attempt.run_id), server)


def test_a_server_killed_in_the_middle_leaves_no_backup(redis_flavour: str, keep: MakeKeep) -> None:
    with streaming(redis_flavour) as server:
        fill_slow(server, 30)
        ours = keep(server, source="stream")
        running = ours.started()
        eventually(lambda: ours.left() and is_saving(server))
        server.kill()
        attempt = running.result(30)
        assert isinstance(attempt.error, (SnapshotTruncated, ServerUnreachable))
        assert attempt.state == "waiting"
        assert ours.left() == []


def test_a_save_child_killed_in_the_middle_leaves_no_backup(any_redis: RedisServer, keep: MakeKeep) -> None:
    with streaming(any_redis.flavour) as server:
        fill_slow(server, 8)
        ours = keep(server, source="stream")
        running = ours.started("killed")
        eventually(lambda: ours.shipped("killed"))
        (child,) = children(server)
        os.kill(child, signal.SIGKILL)
        attempt = running.result(30)
        assert isinstance(attempt.error, SnapshotTruncated)
        assert ours.left() == []
        assert_no_phantom(server)


def children(server: RedisServer) -> list[int]:
    listed = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text()
    return [int(pid) for pid in listed.split()]


def test_a_server_that_falls_silent_is_given_up(
    any_redis: RedisServer, keep: MakeKeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sync, "SILENCE", 1.5)
    with streaming(any_redis.flavour) as server:
        fill_slow(server, 8)
        ours = keep(server, source="stream")
        running = ours.started("silent")
        eventually(lambda: ours.shipped("silent"))
        stopped = [*children(server), server.process.pid]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        attempt = running.result(30)
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)
        assert isinstance(attempt.error, ServerUnreachable)
        assert "silent" in attempt.error.message
        assert ours.left() == []
        assert_no_phantom(server)


def test_a_cancelled_backup_lets_the_server_go(any_redis: RedisServer, keep: MakeKeep) -> None:
    with streaming(any_redis.flavour) as server:
        fill_slow(server, 30)
        ours = keep(server, source="stream")
        running = ours.started("cancel-me")
        eventually(lambda: is_saving(server))
        ours.cancel("cancel-me")
        attempt = running.result(30)
        assert isinstance(attempt.error, RunCancelled)
        assert attempt.state == "cancelled"
        assert ours.left() == []
        assert_no_phantom(server)
        eventually(lambda: not is_saving(server))


# -- a slow store, and one that dies -----------------------------------------------------------------------------------


def test_a_slow_store_never_slows_the_server(
    any_redis: RedisServer, keep: MakeKeep, moto: s3.Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the store has not taken yet waits sealed, in memory and then on disk."""
    monkeypatch.setattr(tasks.backup, "SPOOL_MEMORY", 1_000_000)
    port = urlsplit(moto.endpoint_url).port
    with streaming(any_redis.flavour) as server, Wire(port or 0) as wire:
        fill_slow(server, 0, keys=60, size=500_000)
        wire.when_sent(b"partNumber=1", wire.flows.clear)
        ours = keep(server, source="stream", store_url=bucket, endpoint_url=wire.http, behind=moto.endpoint_url)
        running = ours.started("slow")
        eventually(lambda: not wire.flows.is_set())
        eventually(lambda: ours.shipped("slow") > 30_000_000)
        assert_no_phantom(server)
        assert not is_saving(server)
        assert not running.done()
        wire.flows.set()
        assert_streamed(ours, running.result(30), server)


def test_a_store_that_fails_lets_a_slow_server_go_at_once(
    any_redis: RedisServer, keep: MakeKeep, moto: s3.Server, bucket: str
) -> None:
    """The reader is in the middle of a wait for the server, and nobody waits for it."""
    met, gate = threading.Event(), threading.Event()

    def denied() -> Iterator[Answer]:
        met.set()
        gate.wait()
        yield Answer(403, "AccessDenied")
        yield Answer(403, "AccessDenied")

    with streaming(any_redis.flavour) as server, faulty(moto.endpoint_url) as proxy:
        fill_slow(server, 60, keys=600, size=60_000)
        proxy.faults["part"] = denied()
        slow_down(server, 0.003)
        ours = keep(server, source="stream", store_url=bucket, endpoint_url=proxy.endpoint_url)
        running = ours.started("denied")
        eventually(lambda: met.is_set() and ours.shipped("denied") > 17_000_000)  # two parts of 5 MiB are under way
        (child,) = children(server)
        os.kill(child, signal.SIGSTOP)
        gate.set()
        try:
            attempt = running.result(20)
            assert_no_phantom(server)
        finally:
            os.kill(child, signal.SIGKILL)
        assert isinstance(attempt.error, StoreDenied)
        assert attempt.shown["name"] == "store-denied"
        assert ours.left() == []
        assert not [each for each in threading.enumerate() if each.name == "redkeep-reader"]

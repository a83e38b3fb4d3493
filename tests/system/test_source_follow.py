"""`follow` against real servers, and everything that may lie, write or save in the same folder."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from rig.keep import Keep, eventually
from rig.redis_servers import RedisServer
from rig.saving import await_quiet, fill_slow, forks, is_saving, settings_are_back, slow_down, temps
from rig.whole import assert_whole
from rig.wire import Wire

from tasks.errors import RunCancelled, SaveFailed, ServerUnreachable, SnapshotTruncated
from tasks.server import Server
from tasks.stream.meter import RdbMeter
from tasks.stream.source import Snapshot, open_snapshot
from tasks.stream.spool import ahead

MakeKeep = Callable[..., Keep]


@contextmanager
def following(server: RedisServer, url: str = "") -> Iterator[Snapshot]:
    with (
        Server(url or server.url) as asked,
        open_snapshot(
            asked,
            source="follow",
            data_dir=server.dir,
            server_compression="off",
            patience=5,
            checkpoint=lambda: None,
        ) as snapshot,
    ):
        yield snapshot


# -- while the child writes --------------------------------------------------------------------------------------------


def test_bytes_arrive_before_the_save_has_ended(redis_server: RedisServer) -> None:
    fill_slow(redis_server, 0.6)
    with following(redis_server) as snapshot:
        meter = RdbMeter()
        chunks = meter.through(snapshot.chunks)
        next(chunks)
        assert is_saving(redis_server)
        assert settings_are_back(redis_server), "while the child, which inherited the other one, still writes"
        for _ in chunks:
            pass
    await_quiet(redis_server)
    assert meter.size == (redis_server.dir / "dump.rdb").stat().st_size
    assert snapshot.exact
    assert snapshot.fork_usec
    assert snapshot.seconds > 0.3


def test_a_save_that_nobody_wants_any_more_is_not_awaited(redis_server: RedisServer) -> None:
    fill_slow(redis_server, 30)
    with following(redis_server) as snapshot:
        reader = ahead(snapshot.chunks, 1)
        next(reader)
        snapshot.abandon()
        with pytest.raises(SnapshotTruncated, match="nobody wants"):
            list(reader)
        assert is_saving(redis_server)
    slow_down(redis_server, 0)


def test_what_is_written_after_the_fork_is_in_the_next_backup(any_redis: RedisServer, keep: MakeKeep) -> None:
    fill_slow(any_redis, 0.4)
    ours = keep(any_redis, source="follow")
    running = ours.started()
    eventually(lambda: is_saving(any_redis))
    any_redis.client().mset({f"later:{number}": number for number in range(100)})
    slow_down(any_redis, 0)
    attempt = running.result(30)
    assert_whole(ours, attempt, any_redis, like_now=False)
    assert attempt.manifest is not None
    assert attempt.manifest.plaintext.keys == {"0": 40}
    second = ours.attempt()
    assert_whole(ours, second, any_redis)
    assert second.manifest is not None
    assert second.manifest.plaintext.keys == {"0": 140}


def test_a_save_too_quick_to_catch_is_read_from_the_dump(redis_server: RedisServer, keep: MakeKeep) -> None:
    ours = keep(redis_server, source="follow")
    for number in range(4):
        redis_server.client(db=number).set(f"key{number}", "x" * number, ex=3600 if number % 2 else None)
        attempt = ours.attempt()
        assert_whole(ours, attempt, redis_server)
        assert attempt.manifest is not None
        assert attempt.manifest.source.exact
    assert len(ours.manifests()) == 4


def test_an_empty_server_has_a_backup_too(redis_server: RedisServer, keep: MakeKeep) -> None:
    ours = keep(redis_server, source="follow")
    for _ in range(2):  # without a dump.rdb, and with one that has the same keys: none
        attempt = ours.attempt()
        assert_whole(ours, attempt, redis_server)
        assert attempt.manifest is not None
        assert attempt.manifest.plaintext.keys == {}


def test_functions_do_not_hide_whose_file_it_is(any_redis: RedisServer, keep: MakeKeep) -> None:
    body = "\n".join(f"redis.register_function('f{number}', function() return {number} end)" for number in range(3000))
    any_redis.client().execute_command("FUNCTION", "LOAD", f"#!lua name=big\n{body}")
    any_redis.client().mset({"a": 1, "b": 2})
    ours = keep(any_redis, source="follow")
    assert_whole(ours, ours.attempt(), any_redis)


def test_an_old_dump_is_not_taken_for_the_new_one(any_redis: RedisServer, keep: MakeKeep) -> None:
    client = any_redis.client()
    client.set("key", "old")
    client.save()
    client.set("key", "new")
    ours = keep(any_redis, source="follow")
    assert_whole(ours, ours.attempt(), any_redis)


def test_a_dump_of_another_name_is_followed(any_redis: RedisServer, keep: MakeKeep) -> None:
    with RedisServer(any_redis.flavour, dbfilename="site.rdb") as server:
        fill_slow(server, 0.2)
        ours = keep(server, source="follow")
        assert_whole(ours, ours.attempt(), server)
        assert [each.name for each in server.dir.iterdir()] == ["site.rdb"]


def test_the_manifest_says_what_this_very_save_cost(any_redis: RedisServer, keep: MakeKeep) -> None:
    fill_slow(any_redis, 0.5)
    ours = keep(any_redis, source="follow")
    running = ours.started()
    eventually(lambda: is_saving(any_redis))
    for number in range(40):  # written while the child looks on: the pages are copied
        any_redis.client().setrange(f"key:{number}", 0, "x" * 250_000)
    attempt = running.result(30)
    assert attempt.manifest is not None
    assert attempt.manifest.source.cow_bytes == any_redis.client().info("persistence")["rdb_last_cow_size"]
    assert attempt.manifest.source.cow_bytes > 100_000


# -- the server's compression ------------------------------------------------------------------------------------------


def test_our_save_alone_goes_without_the_servers_compression(any_redis: RedisServer, keep: MakeKeep) -> None:
    any_redis.client().set("prose", "the same again and " * 10_000)
    off = keep(any_redis, source="follow", server_compression="off").attempt().manifest
    kept = keep(any_redis, source="follow", server_compression="keep").attempt().manifest
    assert off is not None
    assert kept is not None
    assert off.plaintext.bytes > 190_000 > 10_000 > kept.plaintext.bytes
    await_quiet(any_redis)
    any_redis.client().save()
    assert (any_redis.dir / "dump.rdb").stat().st_size == kept.plaintext.bytes, "the server's own saves are as before"


def test_keep_never_touches_the_servers_settings(any_redis: RedisServer, keep: MakeKeep) -> None:
    any_redis.client().set("a", 1)
    ours = keep(any_redis, source="follow", server_compression="keep")
    assert_whole(ours, ours.attempt(), any_redis)
    assert "cmdstat_config|set" not in any_redis.client().info("commandstats")


def test_a_server_that_never_compresses_is_left_so(any_redis: RedisServer, keep: MakeKeep) -> None:
    any_redis.client().config_set("rdbcompression", "no")
    any_redis.client().set("a", 1)
    ours = keep(any_redis, source="follow")
    assert ours.attempt().state == "succeeded"
    assert not settings_are_back(any_redis)


@pytest.mark.parametrize("moment", ["sent", "answered"])
def test_a_worker_killed_right_after_sending_leaves_the_servers_settings_as_they_were(
    any_redis: RedisServer, keep: MakeKeep, moment: str
) -> None:
    fill_slow(any_redis, 0.3)
    with Wire(any_redis.port) as wire:
        ours = keep(any_redis, url=wire.url, source="follow", control={"lease_ttl": "1s"})
        worker = ours.process("killed-after-sending")

        def kill() -> None:
            worker.kill()
            worker.wait()

        if moment == "sent":
            wire.when_sent(b"BGSAVE", kill)
        else:
            wire.when_answered(b"Background saving started", kill)
        worker.wait(30)
        assert worker.returncode == -signal.SIGKILL
        eventually(lambda: forks(any_redis) == 1)
        assert settings_are_back(any_redis)
        assert ours.left() == []
        ended = eventually(lambda: ours.attempt_if_free("killed-after-sending"))
    assert_whole(ours, ended, any_redis)
    assert [each["outcome"] for each in ended.record.get("attempts")] == ["died"]


def test_no_checksum_is_noted_and_warned_of(redis_flavour: str, keep: MakeKeep) -> None:
    with RedisServer(redis_flavour, rdbchecksum="no") as server:
        server.client().set("a", 1)
        ours = keep(server, source="follow")
        attempt = ours.attempt()
        assert_whole(ours, attempt, server)
        assert attempt.manifest is not None
        assert attempt.manifest.plaintext.crc64 is None
        assert any("rdbchecksum no" in each for each in attempt.warnings)


# -- what dies in the middle -------------------------------------------------------------------------------------------


def test_a_server_killed_in_the_middle_leaves_no_backup(any_redis: RedisServer, keep: MakeKeep) -> None:
    fill_slow(any_redis, 30)
    ours = keep(any_redis, source="follow")
    running = ours.started()
    eventually(ours.left)  # the store's own temporary file
    any_redis.kill()
    attempt = running.result(30)
    assert isinstance(attempt.error, ServerUnreachable)
    assert attempt.state == "waiting"
    assert ours.left() == []
    assert ours.lease_holder() is None
    any_redis.restart()
    assert settings_are_back(any_redis)


def test_a_killed_save_child_leaves_no_backup(redis_server: RedisServer, keep: MakeKeep) -> None:
    fill_slow(redis_server, 30)
    ours = keep(redis_server, source="follow")
    running = ours.started()
    eventually(ours.left)
    (child,) = temps(redis_server.dir)
    os.kill(child, signal.SIGKILL)
    attempt = running.result(30)
    assert isinstance(attempt.error, SaveFailed)
    assert attempt.state == "waiting"
    assert ours.left() == []
    assert settings_are_back(redis_server)
    slow_down(redis_server, 0)
    assert_whole(ours, ours.attempt(attempt.run_id), redis_server)


def test_a_cancelled_backup_leaves_nothing_and_the_servers_save_goes_on(any_redis: RedisServer, keep: MakeKeep) -> None:
    fill_slow(any_redis, 1.5)
    ours = keep(any_redis, source="follow")
    running = ours.started("cancel-me")
    eventually(ours.left)
    ours.cancel("cancel-me")
    attempt = running.result(30)
    assert isinstance(attempt.error, RunCancelled)
    assert attempt.state == "cancelled"
    assert ours.left() == []
    assert ours.lease_holder() is None
    assert settings_are_back(any_redis)
    assert is_saving(any_redis)
    await_quiet(any_redis)
    assert (any_redis.dir / "dump.rdb").exists()

"""`follow` in a folder that is not its server's alone, and beside others who make the same server fork."""

from __future__ import annotations

import itertools
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rig.keep import Keep, eventually
from rig.redis_servers import RedisServer
from rig.saving import await_quiet, fill_slow, forks, is_saving, settings_are_back, slow_down, temps
from rig.whole import assert_whole
from rig.wire import Wire

from tasks.errors import DataDirForeign, ServerSaving

MakeKeep = Callable[..., Keep]


# -- what else lies and writes in the folder ---------------------------------------------------------------------------


def test_a_stale_temp_file_is_not_read(any_redis: RedisServer, keep: MakeKeep) -> None:
    fill_slow(any_redis, 0.2)
    (any_redis.dir / "temp-77.rdb").write_bytes(os.urandom(3_000_000))
    (any_redis.dir / "temp-78.rdb").touch()
    (any_redis.dir / "temp-1700000000.79.rdb").write_bytes(b"a replica's receive file")
    ours = keep(any_redis, source="follow")
    assert_whole(ours, ours.attempt(), any_redis)


def test_a_temp_file_that_somebody_else_keeps_writing_is_not_read(any_redis: RedisServer, keep: MakeKeep) -> None:
    fill_slow(any_redis, 0.4)
    any_redis.client().save()
    stop = threading.Event()
    with (any_redis.dir / "temp-77.rdb").open("wb") as file:
        file.write((any_redis.dir / "dump.rdb").read_bytes())
        file.flush()

        def write() -> None:
            while not stop.wait(0.002):
                file.write(os.urandom(4096))

        writer = threading.Thread(target=write)
        writer.start()
        try:
            ours = keep(any_redis, source="follow")
            assert_whole(ours, ours.attempt(), any_redis)
        finally:
            stop.set()
            writer.join()


def test_the_orphaned_child_of_a_killed_server_is_not_taken_for_ours(any_redis: RedisServer, keep: MakeKeep) -> None:
    """It writes on, and gives its old data the dump's name while our own save is still under way."""
    with RedisServer(any_redis.flavour, appendonly="yes") as server:
        fill_slow(server, 0, keys=150)
        server.client().bgsave(schedule=False)
        # It reports to its parent with its first key, and again a second and a thousand keys later; a report that
        # finds no parent ends it.
        eventually(lambda: [path for path in temps(server.dir).values() if path.stat().st_size > 2_000_000])
        (orphan,) = temps(server.dir)
        os.kill(orphan, signal.SIGSTOP)
        try:
            server.kill()
            server.restart()
            server.client().set("key:0", "after the fall")
            slow_down(server, 0.006)
            ours = keep(server, source="follow")
            running = ours.started()
            eventually(lambda: temps(server.dir).keys() - {orphan})
            os.kill(orphan, signal.SIGCONT)
            eventually((server.dir / "dump.rdb").exists)
            assert orphan not in temps(server.dir)
            assert is_saving(server)
        except BaseException:
            os.kill(orphan, signal.SIGKILL)
            raise
        assert_whole(ours, running.result(30), server)


def test_a_tiny_save_is_not_mistaken_for_the_orphans_dump(any_redis: RedisServer, keep: MakeKeep) -> None:
    """The orphan's file gets its name while our save is too quick to be seen under its own."""
    client = any_redis.client()
    client.set("key", "new")
    (any_redis.dir / "temp-77.rdb").write_bytes(b"REDIS0009 of the orphan")
    with Wire(any_redis.port) as wire:

        def orphan_ends() -> None:
            await_quiet(any_redis)
            (any_redis.dir / "temp-77.rdb").replace(any_redis.dir / "dump.rdb")

        wire.when_answered(b"Background saving started", orphan_ends)
        ours = keep(any_redis, url=wire.url, source="follow")
        attempt = ours.attempt()
        assert attempt.manifest is None
        assert isinstance(attempt.error, DataDirForeign)
        assert ours.left() == []
        assert_whole(ours, ours.attempt(), any_redis)


@pytest.mark.parametrize("size", [50, 9_000_000])
def test_a_child_with_the_pid_of_a_leftover_is_followed(any_redis: RedisServer, keep: MakeKeep, size: int) -> None:
    """It truncates the file that stands there: same name, same inode."""
    fill_slow(any_redis, 0.3, keys=20, size=100_000)
    last = int(Path("/proc/loadavg").read_text().split()[-1])
    leftovers = {}
    for pid in range(last, last + 700):
        path = any_redis.dir / f"temp-{pid}.rdb"
        with path.open("wb") as file:
            file.write(b"REDIS0009 of a server that was killed")
            file.truncate(size)
        leftovers[path.stat().st_ino] = path
    ours = keep(any_redis, source="follow")
    assert_whole(ours, ours.attempt(), any_redis)
    assert (any_redis.dir / "dump.rdb").stat().st_ino in leftovers


# -- others who save at the same time ----------------------------------------------------------------------------------


@pytest.fixture
def neighbour(any_redis: RedisServer) -> Iterator[RedisServer]:
    """A second server with the same folder, other data and another file name."""
    with RedisServer(any_redis.flavour, dir=any_redis.dir, dbfilename="neighbour.rdb") as server:
        fill_slow(server, 0.5, keys=50, size=60_000)
        yield server


def test_a_neighbours_save_that_runs_already_is_not_taken_for_ours(
    any_redis: RedisServer, neighbour: RedisServer, keep: MakeKeep
) -> None:
    fill_slow(any_redis, 0.3)
    neighbour.client().bgsave(schedule=False)
    eventually(lambda: temps(any_redis.dir))
    ours = keep(any_redis, source="follow")
    assert_whole(ours, ours.attempt(), any_redis)


@pytest.mark.parametrize("moment", ["sent", "answered"])
@pytest.mark.parametrize("keys", [40, 50])
def test_a_neighbours_save_of_the_same_moment_is_not_taken_for_ours(
    any_redis: RedisServer, neighbour: RedisServer, keep: MakeKeep, moment: str, keys: int
) -> None:
    """Told apart by what they announce; with as many keys as the neighbour has, by waiting for the dump."""
    fill_slow(any_redis, 0.4, keys=keys, size=60_000)
    for number in range(0, 50, 4):
        neighbour.client().persist(f"key:{number}")
        any_redis.client().persist(f"key:{number}")
    with Wire(any_redis.port) as wire:
        pids = itertools.count(1)

        def save_too() -> None:
            neighbour.client().bgsave(schedule=False)
            wanted = next(pids) if moment == "sent" else 2
            eventually(lambda: len(temps(any_redis.dir)) == wanted)

        watch = wire.when_sent if moment == "sent" else wire.when_answered
        watch(b"BGSAVE" if moment == "sent" else b"Background saving started", save_too)
        ours = keep(any_redis, url=wire.url, source="follow")
        if keys == 50 and moment == "sent":  # nothing tells them apart but the end, and then we fail, to try again
            attempt = ours.attempt()
            if attempt.error is not None:
                assert attempt.error.name == "snapshot-unproven"
                assert attempt.state == "waiting"
                assert ours.left() == []
                attempt = ours.attempt(attempt.run_id)
        else:
            attempt = ours.attempt()
    assert_whole(ours, attempt, any_redis)


@pytest.mark.parametrize("diskless", ["yes", "no"])
def test_a_replicas_save_right_after_ours_takes_nothing_from_it(
    any_redis: RedisServer, keep: MakeKeep, diskless: str
) -> None:
    with RedisServer(any_redis.flavour, repl_diskless_sync=diskless, repl_diskless_sync_delay=0) as server:
        fill_slow(server, 0.3)
        ours = keep(server, source="follow")
        running = ours.started()
        eventually(lambda: temps(server.dir))
        with RedisServer(any_redis.flavour, replicaof=f"127.0.0.1 {server.port}") as replica:
            attempt = running.result(30)
            assert_whole(ours, attempt, server)
            assert attempt.manifest is not None
            assert attempt.manifest.source.exact
            eventually(lambda: replica.client().info("replication")["master_link_status"] == "up")
        assert forks(server) >= 2


@pytest.mark.parametrize("what", ["BGSAVE", "BGREWRITEAOF"])
def test_a_save_or_rewrite_that_runs_already_is_waited_for(any_redis: RedisServer, keep: MakeKeep, what: str) -> None:
    fill_slow(any_redis, 0.5)
    any_redis.client().execute_command(what)
    any_redis.client().set("later", 1)
    ours = keep(any_redis, source="follow")
    attempt = ours.attempt()
    assert_whole(ours, attempt, any_redis)
    assert attempt.manifest is not None
    assert attempt.manifest.plaintext.keys == {"0": 41}
    assert forks(any_redis) == 2


def test_a_save_that_slips_in_before_ours_is_waited_for(any_redis: RedisServer, keep: MakeKeep) -> None:
    fill_slow(any_redis, 0.3)
    with Wire(any_redis.port) as wire:
        wire.when_sent(b"BGSAVE", lambda: any_redis.client().bgsave(schedule=False))
        ours = keep(any_redis, url=wire.url, source="follow")
        assert_whole(ours, ours.attempt(), any_redis)
    assert forks(any_redis) == 2


def test_a_save_that_came_and_went_before_ours_is_not_taken_for_ours(any_redis: RedisServer, keep: MakeKeep) -> None:
    client = any_redis.client()
    client.set("key", "old")
    with Wire(any_redis.port) as wire:

        def save_and_change() -> None:
            client.bgsave(schedule=False)
            await_quiet(any_redis)
            client.set("key", "new")
            slow_down(any_redis, 0.4)  # so that theirs stands there when we look

        wire.when_sent(b"BGSAVE", save_and_change)
        ours = keep(any_redis, url=wire.url, source="follow")
        assert_whole(ours, ours.attempt(), any_redis)
    assert forks(any_redis) == 3


@pytest.mark.parametrize("source", ["follow", "stream"])
@pytest.mark.parametrize(("defer_for", "state"), [("1h", "waiting"), ("0s", "deferred")])
def test_a_save_that_does_not_end_defers_the_run(
    any_redis: RedisServer, keep: MakeKeep, source: str, defer_for: str, state: str
) -> None:
    fill_slow(any_redis, 600)
    any_redis.client().bgsave(schedule=False)
    ours = keep(any_redis, source=source, control={"patience": "200ms", "defer_for": defer_for})
    attempt = ours.attempt()
    assert isinstance(attempt.error, ServerSaving)
    assert attempt.error.detail.startswith("a save, for ")
    assert attempt.state == state
    assert attempt.shown["name"] == "server-saving"
    assert "fork" not in attempt.record.get("phases")
    assert (forks(any_redis), ours.left()) == (1, [])
    assert settings_are_back(any_redis)

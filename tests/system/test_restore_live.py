"""--to-redis: into a running server of each flavour, durably; and a server that is as it was when anything fails."""

from __future__ import annotations

import errno
import os
import random
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import redis
from rig.keep import Keep, eventually
from rig.page import RULES, granted_by, without
from rig.redis_servers import RedisServer, binary, why_missing
from rig.restores import Shelf, every_type, slow_to_load, started_in
from rig.wire import Wire

from tasks.errors import (
    MemoryShort,
    RdbTooNew,
    RedkeepError,
    RestoreBusy,
    RestoreCut,
    RestoreMismatch,
    RestoreUnfit,
    RestoreUnpersisted,
    RestoreUnreached,
    ServerUnreachable,
)
from tasks.restore import spooled
from tasks.restore.live import Course, Seen

MakeKeep = Callable[..., Keep]
LENT = ("masterauth", "masteruser", "repl-diskless-load", "tls-replication")


@contextmanager
def course(shelf: Shelf, url: str, **wanted: Any) -> Iterator[Course]:
    with (
        spooled(shelf.chunks(), shelf.manifest.plaintext.bytes) as file,
        Course(url, shelf.manifest, file, **wanted) as opened,
    ):
        yield opened


def restore(shelf: Shelf, url: str, **wanted: Any) -> dict[str, Any]:
    with course(shelf, url, **wanted) as opened:
        return opened.run()


class Before:
    """What a server was, to be the same again."""

    def __init__(self, server: RedisServer) -> None:
        self.digest = server.digest()
        self.lent = {name: server.client().config_get(name).get(name) for name in LENT}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Before) and (self.digest, self.lent) == (other.digest, other.lent)

    __hash__ = None  # type: ignore[assignment]


def role(server: RedisServer) -> str:
    return str(server.client().info("replication")["role"])


@pytest.fixture(scope="module")
def shelves(control: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Shelf]:
    """A backup of a server of that flavour, which is gone; taken once."""

    @cache
    def taken(flavour: str, keys: int) -> Shelf:
        with RedisServer(flavour) as origin:
            every_type(origin, keys=keys)
            folder = tmp_path_factory.mktemp("keep")
            return Shelf.of(Keep(folder, origin.url, control.url, data_dir=origin.dir, source="follow"), origin)

    return taken


@pytest.fixture
def shelf(redis_flavour: str, shelves: Callable[[str, int], Shelf]) -> Shelf:
    return shelves(redis_flavour, 40)


@pytest.fixture
def target(redis_flavour: str) -> Iterator[RedisServer]:
    """With AOF on, other data, and a password."""
    with RedisServer(redis_flavour, appendonly="yes", password="it's", save="") as server:
        server.client().mset({f"old:{number}": number for number in range(100)})
        server.client(db=5).set("other", 1)
        yield server


# -- what it is for ----------------------------------------------------------------------------------


@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_the_restored_data_and_every_write_after_it_survive_a_crash(
    redis_flavour: str, appendonly: str, shelf: Shelf
) -> None:
    with RedisServer(redis_flavour, appendonly=appendonly, appendfsync="always") as target:
        target.client().mset({f"old:{number}": number for number in range(100)})
        lent = Before(target).lent
        figures = restore(shelf, target.url)
        assert target.digest() == shelf.digest
        assert role(target) == "master"
        assert Before(target).lent == lent
        assert figures["keys"] == 482
        if appendonly == "yes":
            target.client().set("acknowledged", 1)
        digest = target.digest()
        target.kill()
        target.restart()
        assert target.digest() == digest


def test_the_old_data_is_served_until_the_new_is_in(redis_flavour: str, shelf: Shelf, target: RedisServer) -> None:
    seen: list[tuple[str, object]] = []
    client = target.client()

    def look(at: Seen) -> None:
        try:
            seen.append((at.phase, client.get("old:7")))
        except redis.BusyLoadingError:
            seen.append((at.phase, "loading"))

    slow(target)
    with course(shelf, target.url, seen=look) as opened:
        assert opened.fit.swap == (redis_flavour != "redis6")
        opened.run()
    assert (b"7" in [value for _, value in seen]) or redis_flavour == "redis6"
    if redis_flavour != "redis6":
        assert {value for phase, value in seen if phase != "writing"} <= {b"7", None}
        assert "loading" not in {value for _, value in seen}
    assert client.get("old:7") is None


def test_keys_that_expire_meanwhile_are_counted_and_then_go(redis_flavour: str, keep: MakeKeep) -> None:
    with RedisServer(redis_flavour) as origin, RedisServer(redis_flavour, appendonly="yes") as target:
        origin.client().set("brief", 1, px=300)
        origin.client().set("long", 1)
        shelf = Shelf.of(keep(origin, source="follow"))
        assert shelf.manifest.plaintext.keys == {"0": 2}
        eventually(lambda: origin.client().dbsize() == 1)
        assert restore(shelf, target.url)["keys"] == 2
        eventually(lambda: target.client().dbsize() == 1)


def test_its_own_users_own_masterauth_is_put_back(redis_flavour: str, shelf: Shelf) -> None:
    with RedisServer(redis_flavour, masterauth="'a b'", masteruser="replicator") as target:
        before = Before(target)
        with course(shelf, target.url) as opened:
            assert not any("a b" in line or "replicator" in line for line in opened.remedy)
            opened.run()
        assert Before(target).lent == before.lent


def test_the_commands_that_are_printed_before_free_a_server_that_was_left(shelf: Shelf, target: RedisServer) -> None:
    with course(shelf, target.url) as opened:
        remedy = opened.remedy
        opened._loan.take(opened._server)
        target.client().replicaof("127.0.0.1", 1)
    with pytest.raises(RestoreUnfit, match="was killed and has left it behind"):
        restore(shelf, target.url)
    for line in remedy:
        words = line.split(f"redis://127.0.0.1:{target.port} ")[1].replace("''", "").split(" ")
        target.client().execute_command(*words)
    restore(shelf, target.url)
    assert target.digest() == shelf.digest


def test_the_rights_that_the_document_names_are_enough(
    redis_flavour: str, shelf: Shelf, target: RedisServer
) -> None:
    rule = without(RULES["restore"], "+function|dump") if redis_flavour == "redis6" else RULES["restore"]
    target.client().execute_command("ACL", "SETUSER", "restorer", *rule.split(), ">secret")
    restore(shelf, f"redis://restorer:secret@127.0.0.1:{target.port}")
    assert target.digest() == shelf.digest


@pytest.mark.parametrize("missing", granted_by(RULES["restore"]))
def test_without_any_one_of_the_rights_it_fails_and_names_it(one: Shelf, any_redis: RedisServer, missing: str) -> None:
    words = without(RULES["restore"], missing).split()
    any_redis.client().execute_command("ACL", "SETUSER", "restorer", *words, ">secret")
    with pytest.raises(RedkeepError) as raised:
        restore(one, f"redis://restorer:secret@127.0.0.1:{any_redis.port}")
    assert f"ACL SETUSER restorer {missing}" in raised.value.hint


# -- checks, before anything is changed -----------------------------------------------------------------


def refused(shelf: Shelf, target: RedisServer, error: type[RedkeepError], match: str, **wanted: Any) -> None:
    before = Before(target)
    with pytest.raises(error, match=match), course(shelf, target.url, **wanted):
        pytest.fail("it was let in")
    assert Before(target) == before
    assert role(target) == "master" or "replica" in match


@pytest.fixture
def one(shelves: Callable[[str, int], Shelf]) -> Shelf:
    """A small snapshot of a server of 7.0, in databases 0 and 3."""
    if binary("redis7") is None:
        pytest.skip(why_missing("redis7"))
    return shelves("redis7", 1)


def test_a_server_with_replicas_needs_force(one: Shelf) -> None:
    with RedisServer("redis7") as target, RedisServer("redis7", replicaof=f"127.0.0.1 {target.port}"):
        eventually(lambda: target.client().info("replication")["connected_slaves"] == 1)
        refused(one, target, RestoreUnfit, "has 1 replica")
        restore(one, target.url, force=True)
        assert target.digest() == one.digest


def test_a_server_under_sentinel_is_refused(one: Shelf) -> None:
    with RedisServer("redis7") as target:
        listening = target.client().pubsub()
        listening.subscribe("__sentinel__:hello")
        eventually(lambda: target.client().pubsub_numsub("__sentinel__:hello")[0][1])
        refused(one, target, RestoreUnfit, "watched by Sentinel", force=True)
        listening.close()


def test_a_cluster_node_a_replica_and_the_control_redis_are_refused(one: Shelf) -> None:
    with RedisServer("redis7", cluster_enabled="yes") as node:
        refused(one, node, RestoreUnfit, "runs in cluster mode", force=True)
    with RedisServer("redis7", replicaof="127.0.0.1 1") as replica:
        refused(one, replica, RestoreUnfit, "is a replica", force=True)
    with RedisServer("redis7") as control:
        run_id = control.client().info("server")["run_id"]
        refused(one, control, RestoreUnfit, "is the control Redis", control_run_id=run_id)


def test_a_server_that_is_too_small_is_refused(one: Shelf) -> None:
    with RedisServer("redis7", databases=2) as target:
        refused(one, target, RestoreUnfit, "has 2 databases, and the snapshot needs 4")
    with RedisServer("redis7", maxmemory="600kb") as target:
        refused(one, target, MemoryShort, "maxmemory 1 MiB")


def test_an_rdb_too_new_is_refused_before_anything_happens(keep: MakeKeep) -> None:
    with RedisServer("redis8") as origin, RedisServer("redis6") as target:
        origin.client().set("a", 1)
        target.client().set("old", 1)
        refused(Shelf.of(keep(origin)), target, RdbTooNew, "redis RDB version 12, and redis 6.2.14 .* up to version 9")


def test_a_second_restore_at_once_is_refused(one: Shelf) -> None:
    with RedisServer("redis7") as target, course(one, target.url) as first:
        with pytest.raises(RestoreBusy), course(one, target.url):
            pytest.fail("it was let in")
        first.run()
        assert target.digest() == one.digest


# -- strangers ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "said",
    [
        b"PSYNC ? -1\r\n",
        b"*3\r\n$5\r\nPSYNC\r\n$1\r\n?\r\n$2\r\n-1\r\n",
        b"*2\r\n$4\r\nAUTH\r\n$5\r\nguess\r\n*1\r\n$4\r\nSYNC\r\n",
        b"*99\r\n",
        b"*1\r\n$99999\r\n",
        b"*1\r\n$4\r\nPINGxx",
        b"x" * 5000,
        b"",
    ],
)
def test_a_stranger_on_our_port_is_given_nothing(one: Shelf, said: bytes) -> None:
    with RedisServer("redis7") as target, course(one, target.url) as opened:
        stranger = socket.create_connection(opened._primary.address)
        stranger.settimeout(5)
        answer = b""
        try:
            stranger.sendall(said)
            stranger.shutdown(socket.SHUT_WR)
        except OSError as error:  # it hung up on him before he had finished
            if error.errno not in {errno.ENOTCONN, errno.EPIPE, errno.ECONNRESET}:
                raise
        try:
            while data := stranger.recv(4096):
                answer += data
        except ConnectionResetError:
            pass
        assert b"FULLRESYNC" not in answer
        assert b"REDIS" not in answer
        opened.run()
        assert target.digest() == one.digest


def test_many_silent_strangers_do_not_keep_the_server_out_for_long(one: Shelf) -> None:
    with RedisServer("redis7") as target, course(one, target.url) as opened, ExitStack() as stack:
        guests = [stack.enter_context(socket.create_connection(opened._primary.address)) for _ in range(4)]
        opened.run()
        assert target.digest() == one.digest
        assert all(guest.recv(1) == b"" for guest in guests)


# -- faults ------------------------------------------------------------------------------------------------


def slow(target: RedisServer) -> None:
    """Loading takes about a third of a second."""
    slow_to_load(target, 600)


@pytest.mark.parametrize("phase", ["waiting", "loading", "writing"])
def test_ctrl_c_at_every_stage_leaves_one_data_set_whole_and_the_settings_back(
    phase: str, shelf: Shelf, target: RedisServer
) -> None:
    before = Before(target)
    reached: list[str] = []

    def press(at: Seen) -> None:
        reached.append(at.phase)
        if at.phase == phase:
            os.kill(os.getpid(), signal.SIGINT)

    target.client().config_set("rdb-key-save-delay", 300)  # the rewrite takes a while
    slow(target)
    with course(shelf, target.url, seen=press) as opened:
        try:
            opened.run()
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
    assert interrupted == (phase in reached)
    assert role(target) == "master"
    after = Before(target)
    assert after.lent == before.lent
    assert after.digest in (before.digest, shelf.digest)
    if phase == "waiting":
        assert after.digest == before.digest
    if phase == "writing":
        assert after.digest == shelf.digest
    target.client().config_set("key-load-delay", 0)
    target.kill()
    target.restart()
    assert target.digest() == after.digest


def test_ctrl_c_while_it_is_sent_leaves_the_old_data(
    redis_flavour: str, keep: MakeKeep, target: RedisServer
) -> None:
    with RedisServer(redis_flavour) as origin:
        origin.client().set("bulk", random.Random(3).randbytes(30_000_000))  # more than the kernel takes on credit
        shelf = Shelf.of(keep(origin, compression="none"))
    before = Before(target)

    def press(at: Seen) -> None:
        if at.phase == "sending":
            os.kill(os.getpid(), signal.SIGINT)

    with Wire(0) as wire, course(shelf, target.url, seen=press, announce=("127.0.0.1", wire.port)) as opened:
        wire._port = opened._primary.address[1]
        wire.when_answered(b"FULLRESYNC", wire.flows.clear)
        with pytest.raises(KeyboardInterrupt):
            opened.run()
    assert Before(target) == before
    assert role(target) == "master"


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_connection_cut_midway_leaves_the_old_data(share: float, shelf: Shelf, target: RedisServer) -> None:
    before = Before(target)
    with Wire(0) as wire, course(shelf, target.url, announce=("127.0.0.1", wire.port)) as opened:
        wire._port = opened._primary.address[1]
        wire.cut_after(b"PSYNC", 100 + int(share * shelf.manifest.plaintext.bytes))
        with pytest.raises(RestoreCut):
            opened.run()
    assert Before(target) == before
    assert role(target) == "master"
    target.kill()
    target.restart()
    assert Before(target) == before


def test_a_server_that_dies_while_it_loads_comes_back_with_its_old_data(
    shelf: Shelf, target: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.restore.live.course.GONE", 0.2)
    before = Before(target)
    slow(target)

    def kill(at: Seen) -> None:
        if at.phase in ("sending", "loading"):
            target.kill()

    with course(shelf, target.url, seen=kill) as opened, pytest.raises((ServerUnreachable, RestoreCut)):
        opened.run()
    target.restart()
    assert Before(target) == before
    assert role(target) == "master"


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", folder]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("redis_flavour", ["redis6", "redis7"], indirect=True)
def test_a_servers_full_disk_is_told_and_the_server_is_free(
    redis_flavour: str, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks.restore.live.course.STUCK", 0.5)
    with small_disk(tmp_path / "disk", "2m") as folder, started_in(folder, redis_flavour, appendonly="yes") as target:
        target.client().set("old", 1)
        before = Before(target)
        if redis_flavour == "redis6":  # it writes down what comes, and has its old data as long as that fails
            with pytest.raises(RestoreCut):
                restore(shelf, target.url)
            assert Before(target) == before
        else:  # the new data is in memory, and only there
            with pytest.raises(RestoreUnpersisted):
                restore(shelf, target.url)
            assert target.digest() == shelf.digest
        assert Before(target).lent == before.lent
        assert role(target) == "master"


def test_a_server_that_cannot_reach_us_is_told_so(one: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.restore.live.course.REACH", 0.5)
    with RedisServer("redis7") as target:
        before = Before(target)
        with pytest.raises(RestoreUnreached, match=r"did not reach us at 127\.0\.0\.1:1"):
            restore(one, target.url, announce=("127.0.0.1", 1))
        assert Before(target) == before
        assert role(target) == "master"


def test_counts_that_differ_are_told_and_the_server_is_free(one: Shelf) -> None:
    told = one.manifest.plaintext.model_copy(update={"keys": {"0": 7, "3": 8}})
    lying = replace(one, manifest=one.manifest.model_copy(update={"plaintext": told}))
    with RedisServer("redis7", appendonly="yes") as target:
        lent = Before(target).lent
        with pytest.raises(RestoreMismatch, match="db3 has 7 keys, its manifest says 8"):
            restore(lying, target.url)
        assert (role(target), Before(target).lent) == ("master", lent)


def test_somebody_else_who_makes_it_follow_another_is_not_undone(one: Shelf) -> None:
    with RedisServer("redis7") as other, RedisServer("redis7") as target:

        def meddle(at: Seen) -> None:
            target.client().replicaof("127.0.0.1", other.port)

        with pytest.raises(RestoreCut):
            restore(one, target.url, seen=meddle, announce=("127.0.0.1", 1))
        assert target.client().info("replication")["master_port"] == other.port

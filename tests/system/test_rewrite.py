"""The AOF rewrite on real servers: followed to its end, proven by its files, and named where it goes wrong."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from rig.keep import Attempt, Keep, eventually
from rig.nobody import NOBODY
from rig.redis_servers import RedisServer
from rig.saving import await_quiet, fill_slow, forks, slow_down

from tasks.errors import (
    AofOff,
    GuardDeferred,
    RewriteFailed,
    RewriteUnproven,
    ServerDenied,
    ServerIsReplica,
    ServerSaving,
)
from tasks.job import Job, Ticket
from tasks.rewrite import rewrite_aof
from tasks.server import Server

MakeKeep = Callable[..., Keep]
PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
TEMP = re.compile(r"temp-rewriteaof-(bg-)?\d+\.aof")


@pytest.fixture
def with_aof(redis_flavour: str) -> Iterator[RedisServer]:
    with RedisServer(redis_flavour, appendonly="yes", repl_diskless_sync_delay=0) as server:
        yield server


@pytest.fixture
def one() -> Iterator[RedisServer]:
    """A server with an AOF, for what does not depend on the flavour."""
    with RedisServer("redis7", appendonly="yes") as server:
        yield server


def churned(server: RedisServer) -> None:
    """An AOF that holds much more than the data."""
    client = server.client()
    for _ in range(20):
        client.set("counter", "x" * 10_000)
    client.set("other", 1)


def rewriting(server: RedisServer) -> bool:
    return bool(server.client().info("persistence")["aof_rewrite_in_progress"])


def persistence(server: RedisServer) -> dict[str, str]:
    """Every setting that a rewrite could have touched."""
    found: dict[str, str] = server.client().config_get("*")
    return found


# -- the way -----------------------------------------------------------------------------------------------------------


def test_the_aof_shrinks_to_the_data_and_the_record_says_how(with_aof: RedisServer, keep: MakeKeep) -> None:
    churned(with_aof)
    before = persistence(with_aof)
    attempt = keep(with_aof).verb("rewrite")
    assert (attempt.state, attempt.error, attempt.warnings) == ("succeeded", None, [])
    figures = attempt.record.get("figures")
    assert figures["bytes_before"] > 200_000 > figures["bytes_after"] > 0
    assert figures["bytes_saved"] == figures["bytes_before"] - figures["bytes_after"]
    assert figures["fork_usec"] > 0
    assert figures["cow_bytes"] >= 0
    assert figures["seconds"] < 60
    assert re.fullmatch(r"a new appendonly\.aof(\.2\.base\.rdb)?", figures["proof"])
    assert set(attempt.record.get("phases")) == {"wait", "quiet", "guard", "rewrite"}
    assert persistence(with_aof) == before
    with_aof.kill()
    with_aof.restart()
    assert with_aof.client().get("counter") == b"x" * 10_000


def test_where_the_files_cannot_be_read_the_server_is_believed(with_aof: RedisServer, keep: MakeKeep) -> None:
    attempt = keep(with_aof, data_dir=None).verb("rewrite")
    assert attempt.state == "succeeded"
    assert attempt.record.get("figures")["proof"] == "the server's word"


def test_a_server_without_aof_is_skipped_and_enforce_named(redis_server: RedisServer, keep: MakeKeep) -> None:
    attempt = keep(redis_server).verb("rewrite")
    assert attempt.state == "skipped"
    assert attempt.shown["code"] == AofOff.code
    assert "enforce" in attempt.shown["hint"]
    assert forks(redis_server) == 0


def test_progress_is_told_from_the_file_that_grows(one: RedisServer, keep: MakeKeep) -> None:
    fill_slow(one, 1.5)
    ours = keep(one)
    future = ours.started("r1", task="rewrite")
    eventually(lambda: 0 < ours.shipped("r1") < 9_000_000)
    assert future.result().state == "succeeded"


class Interrupted(Job):
    """A run in the middle of which somebody else has the server save."""

    before_rewrite: Callable[[], object]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        if name == "rewrite":
            self.before_rewrite()
        with super().phase(name):
            yield


def test_a_rewrite_that_is_only_scheduled_is_followed_through_the_save_before_it(
    with_aof: RedisServer, keep: MakeKeep
) -> None:
    fill_slow(with_aof, 0.8, keys=8)
    running = Interrupted(Ticket("r1", "tasks.rewrite", "main"), "n1")
    running.before_rewrite = with_aof.client().bgsave
    with Server(with_aof.url) as server:
        rewrite_aof(running, server, keep(with_aof).target, patience=5)
    assert forks(with_aof) == 2
    assert running.figures["seconds"] > 1.2, "the save, then the rewrite"
    assert running.figures["proof"].startswith("a new ")


def test_a_rewrite_that_the_server_began_by_itself_in_between_is_waited_for(one: RedisServer, keep: MakeKeep) -> None:
    fill_slow(one, 0.5, keys=8)
    running = Interrupted(Ticket("r1", "tasks.rewrite", "main"), "n1")
    running.before_rewrite = one.client().bgrewriteaof
    with Server(one.url) as server:
        rewrite_aof(running, server, keep(one).target, patience=20)
    assert forks(one) == 2
    assert running.figures["proof"] == "a new appendonly.aof.3.base.rdb"


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_a_replica_is_refused_unless_it_is_meant(one: RedisServer, any_redis: RedisServer, keep: MakeKeep) -> None:
    any_redis.client().config_set("repl-diskless-sync-delay", 0)
    one.client().replicaof("127.0.0.1", str(any_redis.port))
    eventually(lambda: one.client().info("replication").get("master_link_status") == "up")
    await_quiet(one)
    attempt = keep(one).verb("rewrite")
    assert isinstance(attempt.error, ServerIsReplica)
    assert attempt.state == "failed"
    assert keep(one, replica="accept").verb("rewrite").state == "succeeded"


def test_a_server_killed_in_the_middle_is_named_with_its_temp_file_and_the_next_try_succeeds(
    with_aof: RedisServer, keep: MakeKeep
) -> None:
    fill_slow(with_aof, 30)
    ours = keep(with_aof)
    future = ours.started("r1", task="rewrite")
    eventually(lambda: ours.shipped("r1") > 0)
    with_aof.kill()
    attempt = future.result()
    assert isinstance(attempt.error, RewriteFailed)
    assert attempt.state == "waiting"
    assert "went away during its rewrite" in attempt.shown["message"]
    assert TEMP.search(attempt.shown["message"])
    with_aof.restart()
    slow_down(with_aof, 0)
    again = ours.verb("rewrite", "r1")
    assert again.state == "succeeded"
    assert any(TEMP.search(each) for each in again.warnings), "the orphan's file still lies there"
    assert with_aof.client().dbsize() == 40


def test_a_disk_that_fills_up_in_the_middle_fails_the_rewrite_and_loses_nothing(
    redis_flavour: str, small_disk: Path, keep: MakeKeep
) -> None:
    with RedisServer(redis_flavour, appendonly="yes", dir=small_disk) as server:
        fill_slow(server, 3, keys=8)
        ours = keep(server, data_dir=small_disk)
        before = persistence(server)
        future = ours.started("r1", task="rewrite")
        eventually(lambda: rewriting(server))
        _fill(small_disk)
        attempt = future.result()
        assert isinstance(attempt.error, RewriteFailed)
        assert attempt.state == "waiting", "it may have room the next time"
        assert persistence(server) == before
        (small_disk / "filler").unlink()
        slow_down(server, 0)
        assert ours.verb("rewrite", "r1").state == "succeeded"
        server.kill()
        server.restart()
        assert server.client().dbsize() == 8


def test_a_disk_without_room_is_seen_before_the_fork_and_the_run_goes_on_once_there_is_some(
    small_disk: Path, keep: MakeKeep
) -> None:
    with RedisServer("redis7", appendonly="yes", dir=small_disk) as server:
        fill_slow(server, 0, keys=8)
        _fill(small_disk)
        ours = keep(server, data_dir=small_disk)
        attempt = ours.verb("rewrite", "r1")
        assert isinstance(attempt.error, GuardDeferred)
        assert attempt.state == "waiting"
        told = attempt.shown["message"]
        assert re.match(r"0 B free in .*small disk/appendonlydir; up to \d\.\d MiB are needed", told)
        assert attempt.record.get("figures")["guard"] == "defer"
        assert forks(server) == 0
        (small_disk / "filler").unlink()
        assert ours.verb("rewrite", "r1").state == "succeeded"


def _fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                return


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have a server run as somebody whose processes are counted")
def test_a_fork_that_the_machine_refuses_is_named(keep: MakeKeep) -> None:
    with RedisServer("redis7", appendonly="yes", user=NOBODY) as server:
        assert server.process is not None
        limit = ["prlimit", f"--pid={server.process.pid}", "--nproc=1:1"]
        subprocess.run(limit, user=NOBODY, group=NOBODY, check=True)
        attempt = keep(server).verb("rewrite")
        assert isinstance(attempt.error, RewriteFailed)
        assert "did not begin" in attempt.shown["message"]
        assert "fork" in attempt.shown["hint"]
        server.client().set("still", "served")


def test_where_config_is_renamed_away_the_rewrite_works_and_says_what_was_not_looked_at(
    one: RedisServer, keep: MakeKeep
) -> None:
    one.restart(rename_command="CONFIG hidden")
    attempt = keep(one).verb("rewrite")
    assert attempt.state == "succeeded"
    (warning,) = attempt.warnings
    assert warning.startswith("the AOF's files were not looked at: ")
    assert attempt.record.get("figures")["proof"] == "the server's word"


def test_where_data_dir_holds_no_aof_that_is_said_and_the_server_believed(
    one: RedisServer, tmp_path: Path, keep: MakeKeep
) -> None:
    attempt = keep(one, data_dir=tmp_path).verb("rewrite")
    assert attempt.state == "succeeded"
    assert attempt.warnings == [f"the AOF's files were not looked at: there is none to be read in {tmp_path}"]


def test_files_that_are_not_that_servers_are_no_proof(one: RedisServer, any_redis: RedisServer, keep: MakeKeep) -> None:
    any_redis.client().config_set("appendonly", "yes")
    await_quiet(any_redis)
    attempt = keep(one, data_dir=any_redis.dir).verb("rewrite")
    assert isinstance(attempt.error, RewriteUnproven)
    assert attempt.state == "failed"
    assert "is as it was" in attempt.shown["message"]


def test_a_save_of_somebody_else_that_never_ends_defers_the_rewrite_for_good(one: RedisServer, keep: MakeKeep) -> None:
    fill_slow(one, 600)
    one.client().bgsave()
    ours = keep(one, control={"patience": "100ms", "defer_for": "0s"})
    attempt = ours.verb("rewrite")
    assert isinstance(attempt.error, ServerSaving)
    assert attempt.state == "deferred"
    assert "a save" in attempt.shown["message"]
    assert forks(one) == 1


def test_a_cancelled_rewrite_lets_the_server_finish_it(one: RedisServer, keep: MakeKeep) -> None:
    fill_slow(one, 1.5)
    ours = keep(one)
    future = ours.started("r1", task="rewrite")
    eventually(lambda: ours.shipped("r1") > 0)
    ours.cancel("r1")
    assert future.result().state == "cancelled"
    assert ours.lease_holder() is None
    await_quiet(one)
    assert one.client().info("persistence")["aof_last_bgrewrite_status"] == "ok"


# -- rights ------------------------------------------------------------------------------------------------------------


def _as_redkeep(server: RedisServer, rules: str, keep: MakeKeep) -> Attempt:
    server.client().execute_command("ACL", "SETUSER", "redkeep", ">secret", *rules.split())
    return keep(server, url=f"redis://redkeep:secret@127.0.0.1:{server.port}").verb("rewrite")


def test_the_rights_of_the_page_are_enough_and_each_is_needed(with_aof: RedisServer, keep: MakeKeep) -> None:
    (rules,) = re.findall(r"^```acl rewrite\nACL SETUSER redkeep ([^\n]+)\n```$", PAGE.read_text(), flags=re.M)
    for right in re.findall(r"\+\S+", rules):
        attempt = _as_redkeep(with_aof, f"{rules} -{right[1:]}", keep)
        assert isinstance(attempt.error, ServerDenied)
        assert attempt.error.hint == f"Grant it: ACL SETUSER redkeep {right}"
    assert forks(with_aof) == 0
    assert _as_redkeep(with_aof, rules, keep).state == "succeeded"
    attempt = _as_redkeep(with_aof, f"{rules} +config|get", keep)
    assert attempt.record.get("figures")["proof"].startswith("a new ")

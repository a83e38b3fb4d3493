"""The guard at work on real servers: what it finds out, and what becomes of a run that it holds back."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from rig.commands import here
from rig.keep import Keep, eventually
from rig.redis_servers import RedisServer
from rig.saving import fill_slow, forks

from tasks.errors import GuardDeferred, GuardRefused
from tasks.gate import look
from tasks.guard import Sheet, judge
from tasks.host import Host
from tasks.server import Server
from tasks.settings import Target
from tasks.settings.targets import Guard

MakeKeep = Callable[..., Keep]


def looked_at(server: RedisServer, host: Host | None = None, **target: object) -> Sheet:
    with Server(server.url) as ours:
        return look(ours, Target.model_validate({"name": "main", "url": server.url} | target), host)


# -- the facts ---------------------------------------------------------------------------------------------------------


def test_a_server_on_this_machine_is_known_with_its_process_and_its_disks(redis_flavour: str) -> None:
    with RedisServer(redis_flavour, appendonly="yes") as server:
        sheet = looked_at(server)
        assert sheet.machine is not None
        assert sheet.machine.total == sheet.total_memory
        assert sheet.machine.to_commit > sheet.rss // 2
        assert sheet.data_disk is not None
        assert sheet.data_disk.path == str(server.dir)
        assert sheet.aof_disk is not None
        assert sheet.aof_disk.path == str(server.dir if redis_flavour == "redis6" else server.dir / "appendonlydir")
        assert sheet.multi_part is (redis_flavour != "redis6")
        assert judge(sheet, Guard(), "rewrite").word == "go"


def test_what_the_last_forks_cost_is_known(redis_server: RedisServer) -> None:
    assert looked_at(redis_server).save.seconds == -1
    fill_slow(redis_server, 0.3, keys=3)
    client = redis_server.client()
    client.bgsave()
    client.set("key:0", b"x" * 250_000)
    eventually(lambda: not client.info("persistence")["rdb_bgsave_in_progress"])
    sheet = looked_at(redis_server)
    assert (sheet.forks, sheet.save.seconds) == (1, pytest.approx(0, abs=1))
    assert sheet.save.cow_bytes > 0
    assert sheet.fork_usec > 0


def test_what_is_under_way_is_seen(redis_server: RedisServer) -> None:
    assert looked_at(redis_server).busy == ""
    fill_slow(redis_server, 600)
    redis_server.client().bgsave()
    assert re.fullmatch(r"a save, for \d+ s", looked_at(redis_server).busy)


def test_writing_is_measured_while_it_goes_on(any_redis: RedisServer) -> None:
    assert looked_at(any_redis).writes == 0
    over = threading.Event()

    def write() -> None:
        client = any_redis.client()
        while not over.is_set():
            with client.pipeline(transaction=False) as pipe:
                for number in range(100):
                    pipe.set(f"key:{number}", 1)
                pipe.execute()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    eventually(lambda: looked_at(any_redis).writes > 0)
    over.set()
    writer.join()


def test_a_server_of_another_machine_is_judged_by_its_own_figures(any_redis: RedisServer, tmp_path: Path) -> None:
    sheet = looked_at(any_redis, Host(tmp_path / "proc", tmp_path / "sys"))
    assert (sheet.machine, sheet.data_disk) == (None, None)
    (told,) = [each.told for each in judge(sheet, Guard(), "sync").reasons if each.about == "memory"]
    assert "by its own figures" in told


def test_without_the_right_to_ask_for_settings_the_rest_is_judged(any_redis: RedisServer) -> None:
    any_redis.client().execute_command("ACL", "SETUSER", "redkeep", "on", ">pw", "-@all", "+info")
    with Server(any_redis.url.replace("redis://", "redis://redkeep:pw@")) as ours:
        sheet = look(ours, Target.model_validate({"name": "main", "url": any_redis.url}))
    assert judge(sheet, Guard(), "sync").word == "go"
    assert not sheet.save_points


def test_replication_is_seen_from_both_sides(any_redis: RedisServer) -> None:
    with RedisServer(any_redis.flavour, repl_diskless_sync_delay=0) as primary:
        fill_slow(primary, 600)
        any_redis.client().replicaof("127.0.0.1", str(primary.port))
        eventually(lambda: looked_at(primary).replication.sending == 1)
        waiting = looked_at(any_redis).replication
        assert (waiting.role, waiting.link) == ("slave", False)
        any_redis.client().replicaof("NO", "ONE")


# -- what becomes of a run ---------------------------------------------------------------------------------------------


def test_a_refused_run_fails_with_the_number_and_what_to_do_and_the_server_never_forks(
    redis_server: RedisServer, keep: MakeKeep
) -> None:
    attempt = keep(redis_server, guard={"max_fork_ms": 0.0001}).attempt()
    assert isinstance(attempt.error, GuardRefused)
    assert attempt.state == "failed"
    assert attempt.shown["message"].endswith("max_fork_ms is 0.0001")
    assert "max_fork_ms" in attempt.shown["hint"]
    assert attempt.record.get("figures")["guard"] == "refuse"
    assert forks(redis_server) == 0
    assert attempt.manifest is None


def test_a_deferred_run_waits_and_is_deferred_for_good_once_its_bound_is_spent(
    any_redis: RedisServer, small_disk: Path, keep: MakeKeep
) -> None:
    any_redis.restart(dir=small_disk)
    any_redis.client().set("a", "b")
    filler = small_disk / "filler"
    filler.write_bytes(bytes(8 * 2**20 - 2**16))
    ours = keep(any_redis, data_dir=small_disk, control={"defer_for": "0s"})
    attempt = ours.attempt()
    assert isinstance(attempt.error, GuardDeferred)
    assert attempt.state == "deferred"
    assert "free in" in attempt.shown["message"]
    assert attempt.shown["hint"].startswith("Make room there")
    waiting = keep(any_redis, data_dir=small_disk)
    assert waiting.attempt("r1").state == "waiting"
    filler.unlink()
    assert waiting.attempt("r1").state == "succeeded"
    assert waiting.record("r1").get("figures")["guard"] == "go"


def test_the_history_shows_what_was_expected_beside_what_came(redis_server: RedisServer, keep: MakeKeep) -> None:
    redis_server.client().set("a", "b")
    ours = keep(redis_server)
    assert ours.attempt().state == "succeeded"
    assert ours.attempt().state == "succeeded"
    (_, *rows) = here("history", "--guard", config=ours.config_path).out.splitlines()
    assert len(rows) == 2
    for figures in (each["figures"] for each in here("history", "--guard", "--json", config=ours.config_path).json):
        assert figures["guard"] == "go"
        assert figures["expected_fork_usec"] > 0
        assert figures["fork_usec"] > 0
    assert " / " in rows[0]


def test_runs_that_never_fork_are_not_in_the_guards_history(any_redis: RedisServer, keep: MakeKeep) -> None:
    ours = keep(any_redis)
    assert ours.verb("retention").state == "succeeded"
    assert ours.attempt().state == "succeeded"
    assert [each["task"] for each in here("history", "--guard", "--json", config=ours.config_path).json] == [
        "tasks.backup"
    ]

"""`redkeep restore` and `redkeep run drill` as an operator calls them, with settings or with store and key alone."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from rig.commands import REDKEEP, Done, Running, environment, here, redkeep, run
from rig.keep import Keep, eventually
from rig.redis_servers import RedisServer
from rig.restores import Shelf, contents, every_type, slow_to_load, started_in

MakeKeep = Callable[..., Keep]
LENT = ("masterauth", "masteruser", "repl-diskless-load")


@pytest.fixture
def shelf(any_redis: RedisServer, keep: MakeKeep) -> Shelf:
    """A signed backup, and settings that name the identity, the signer and a server for drills."""
    every_type(any_redis, keys=20)
    ours = keep(any_redis, source="follow")
    trust = f'identity_files = ["identity0.txt"]\ntrusted_signers = ["{ours.signer}"]\n'
    text = ours.config_path.read_text().replace("[encryption]\n", f"[encryption]\n{trust}")
    ours.config_path.write_text(f'{text}[target.drill]\nredis_server = "{any_redis.binary}"\n')
    return Shelf.of(ours, any_redis)


def bare(shelf: Shelf) -> list[object]:
    """A new host: the store's address, the identity, and nothing else."""
    assert shelf.keep.store_folder is not None
    return ["--store", shelf.keep.store_folder.as_uri(), "--identity", shelf.keep.folder / "identity0.txt"]


def error(done: Done) -> str:
    return str(done.json["error"]["name"])


# -- a file and a folder ----------------------------------------------------------------------------------


def test_a_file_with_nothing_but_store_and_identity(shelf: Shelf, tmp_path: Path) -> None:
    path = tmp_path / "plain.rdb"
    where = ["latest", "main", *bare(shelf), "--to-file", path]
    assert error(here("restore", *where, "--yes", "--json")) == "snapshot-unsigned"
    assert not path.exists()
    done = here("restore", *where, "--allow-unsigned", "--yes")
    assert done.code == 0
    assert "only its integrity is checked" in done.err
    assert path.stat().st_size == shelf.manifest.plaintext.bytes
    assert error(here("restore", *where, "--allow-unsigned", "--yes", "--json")) == "file-exists"


def test_a_folder_is_placed_as_a_running_server_wants_it(shelf: Shelf, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "dump.rdb").write_bytes(b"old")
    with RedisServer("redis7", appendonly="yes") as model:
        where = ["restore", shelf.manifest.id, "main", "--to-dir", folder, "--like", model.url]
        dry = here(*where, "--dry-run", "--json", config=shelf.keep.config_path)
        assert not dry.json["done"]
        assert contents(folder) == {"dump.rdb": b"old"}
        done = here(*where, "--yes", "--json", config=shelf.keep.config_path)
    assert done.json["done"]
    assert contents(Path(done.json["aside"])) == {"dump.rdb": b"old"}
    with started_in(folder, "redis7", appendonly="yes") as server:
        assert server.digest() == shelf.digest


def test_without_knowing_the_servers_settings_no_folder_is_touched(shelf: Shelf, tmp_path: Path) -> None:
    where = ["latest", "main", "--to-dir", tmp_path / "x"]
    done = here("restore", *where, "--yes", "--json", config=shelf.keep.config_path)
    assert error(done) == "layout-unknown"
    assert not (tmp_path / "x").exists()


def test_the_folder_of_a_target_that_is_up_is_refused(shelf: Shelf, any_redis: RedisServer) -> None:
    before = contents(any_redis.dir)
    where = ["--to-dir", any_redis.dir, "--appendonly", "no"]
    done = here("restore", "latest", "main", *where, "--yes", "--json", config=shelf.keep.config_path)
    assert error(done) == "directory-in-use"
    assert "target main" in done.json["error"]["message"]
    assert contents(any_redis.dir) == before


def test_it_asks_and_a_no_changes_nothing(shelf: Shelf, tmp_path: Path) -> None:
    where = ["latest", "main", "--to-dir", str(tmp_path / "x"), "--appendonly", "yes"]
    env = environment(shelf.keep.config_path)
    for answer in (b"n\n", b""):
        asked = run([REDKEEP, "restore", *where], env=env, stdin=answer)
        assert asked.code == 1
        assert "appendonlydir/appendonly.aof.1.base.rdb" in asked.err
        assert not (tmp_path / "x").exists()
    asked = run([REDKEEP, "restore", *where], env=env, stdin=b"y\n")
    assert asked.code == 0, asked.err
    assert (tmp_path / "x" / "appendonlydir").is_dir()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--to-file", "a", "--to-dir", "b"],
        ["--to-file", "a", "--json"],
        ["--to-redis", "nowhere", "--yes"],
        ["--to-redis", "redis://127.0.0.1:1", "--listen", "a:b", "--yes"],
        ["--to-dir", "x", "--like", "redis://127.0.0.1:1", "--appendonly", "yes", "--yes"],
    ],
)
def test_a_command_line_that_cannot_be_meant_is_a_usage_error(shelf: Shelf, arguments: list[str]) -> None:
    assert here("restore", "latest", "main", *bare(shelf), "--allow-unsigned", *arguments).code == 64


# -- a running server --------------------------------------------------------------------------------------


def test_a_running_server_by_url_and_by_name(shelf: Shelf, any_redis: RedisServer) -> None:
    with RedisServer("redis7", appendonly="yes", password="p w") as target:
        target.client().set("old", 1)
        done = here("restore", "latest", "main", *bare(shelf), "--to-redis", target.url, "--allow-unsigned", "--yes")
        assert done.code == 0, done.err
        assert f"redis-cli -u redis://127.0.0.1:{target.port} REPLICAOF NO ONE" in done.err
        assert "p%20w" not in done.err
        assert target.digest() == shelf.digest
    any_redis.client().flushall()
    done = here("restore", "latest", "main", "--to-redis", "main", "--yes", "--json", config=shelf.keep.config_path)
    assert done.json["keys"] == sum(shelf.manifest.plaintext.keys.values())
    assert any_redis.digest() == shelf.digest


def test_the_control_redis_is_only_replaced_by_force(shelf: Shelf, control: RedisServer) -> None:
    where = ["restore", "latest", "main", "--to-redis", control.url, "--yes", "--json"]
    done = here(*where, config=shelf.keep.config_path)
    assert error(done) == "restore-unfit"
    assert "is the control Redis" in done.json["error"]["message"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_the_middle_frees_the_server(shelf: Shelf, number: int) -> None:
    with RedisServer("redis7", appendonly="yes") as target:
        slow_to_load(target, 5000)
        target.client().set("old", 1)
        digest = target.digest()
        before = [target.client().config_get(name) for name in LENT]
        where = ["restore", "latest", "main", "--to-redis", target.url, "--yes"]
        with Running(*where, config=shelf.keep.config_path) as running:
            eventually(lambda: target.client().info("persistence").get("async_loading"))
            running.process.send_signal(number)
            assert running.wait() == 128 + number
        assert target.client().info("replication")["role"] == "master"
        assert [target.client().config_get(name) for name in LENT] == before
        assert target.digest() == digest


def test_a_killed_restore_is_found_by_check_and_freed_by_what_was_printed(
    shelf: Shelf, any_redis: RedisServer
) -> None:
    slow_to_load(any_redis, 5000)
    where = ["restore", "latest", "main", "--to-redis", "main", "--yes"]
    with Running(*where, config=shelf.keep.config_path) as running:
        eventually(lambda: any_redis.client().info("persistence").get("async_loading"))
        running.process.kill()
        running.wait()
        printed = [line.strip() for line in running.log.splitlines() if line.strip().startswith("redis-cli")]
    found = redkeep("check", "main", "--json", config=shelf.keep.config_path)
    findings = [each for each in found.json if each["what"] == "main: server" and each["level"] == "fail"]
    assert any("a restore into it was killed" in each["told"] for each in findings)
    if shutil.which("redis-cli") is None:
        pytest.skip("no redis-cli on PATH")
    eventually(lambda: not any_redis.client().info("persistence").get("async_loading"))
    for line in printed:
        subprocess.run(["sh", "-c", line], check=True, capture_output=True)
    assert any_redis.client().info("replication")["role"] == "master"
    assert any_redis.client().config_get("masterauth")["masterauth"] == ""
    assert any_redis.digest() == shelf.digest


# -- the drill ---------------------------------------------------------------------------------------------


def test_a_drill_from_a_terminal_tells_the_recovery_time(shelf: Shelf) -> None:
    done = redkeep("run", "drill", "main", "--inline", config=shelf.keep.config_path)
    assert done.code == 0, done.err
    assert "recovery time" in done.out
    assert "242 keys" in done.out


def test_a_drill_of_a_named_backup_that_is_gone_fails_by_name(shelf: Shelf) -> None:
    done = redkeep(
        "run", "drill", "main", "--backup", "20200101T000000Z", "--inline", "--json", config=shelf.keep.config_path
    )
    assert json.loads(done.out)["error"]["name"] == "backup-unknown"


def test_a_worker_of_queue_drill_does_it_too(shelf: Shelf) -> None:
    with Running("worker", "drill", config=shelf.keep.config_path) as worker:
        worker.until("ready.")
        done = redkeep("run", "drill", "main", "--json", config=shelf.keep.config_path)
    assert done.json["outcome"] == "succeeded", done.out
    assert done.json["figures"]["backup"] == shelf.manifest.id
    assert done.json["phases"].keys() >= {"fetch", "load", "check"}

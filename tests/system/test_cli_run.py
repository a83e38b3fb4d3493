"""`redkeep run`: sent, followed, left, stopped, or carried here; and what it says where nobody works."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from rig.commands import Done, Running, at_once, here, in_terminal, redkeep
from rig.keep import Keep, eventually
from rig.redis_servers import RedisServer
from rig.saving import await_quiet, fill_slow, slow_down

PACE = {"patience": "1s", "lease_ttl": "5s", "visibility": "10s"}
RESULT = {"id", "task", "target", "slot", "outcome", "error", "phases", "figures"}
BROKEN = """
[[target]]
name = "unfollowable"
url = "{url}"
data_dir = "/nowhere"
[target.backup]
source = "follow"
"""


@pytest.fixture(scope="module")
def site(control: RedisServer) -> Iterator[RedisServer]:
    with RedisServer(control.flavour) as server:
        fill_slow(server, 0, keys=40, size=250_000)
        yield server


def installed(folder: Path, site: RedisServer, control: RedisServer) -> Keep:
    keep = Keep(folder, site.url, control.url, data_dir=site.dir, control=PACE)
    with keep.config_path.open("a") as file:
        file.write(BROKEN.format(url=site.url))
    return keep


@pytest.fixture(scope="module")
def keep(site: RedisServer, control: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Keep:
    """An installation with a worker."""
    return installed(tmp_path_factory.mktemp("keep"), site, control)


@pytest.fixture(scope="module", autouse=True)
def worker(keep: Keep) -> Iterator[Running]:
    with Running("worker", "backup", config=keep.config_path) as started:
        yield started.until("ready.")


@pytest.fixture
def lonely(site: RedisServer, control: RedisServer, tmp_path: Path) -> Keep:
    """An installation without one."""
    return installed(tmp_path, site, control)


@pytest.fixture
def slow(site: RedisServer) -> Iterator[None]:
    """A backup takes two seconds."""
    slow_down(site, 0.05)
    yield
    slow_down(site, 0)
    await_quiet(site)


def state(keep: Keep, run_id: str) -> str:
    return keep.record(run_id).state


# -- followed ----------------------------------------------------------------------------------------------------------


def test_it_follows_the_run_in_plain_lines_where_no_terminal_is(keep: Keep) -> None:
    said = redkeep("run", "backup", "main", config=keep.config_path)
    assert said.code == 0, said.err
    lines = said.err.splitlines()
    assert lines[-1] == "tasks.backup main: succeeded"
    assert all(line.startswith("tasks.backup main: ") for line in lines)
    assert len(lines) == len(set(lines)), "a line for each change, and no other"
    assert re.match(r"succeeded main \d{8}T\d{6}Z-[0-9a-f]{8} in [\d.]+ m?s\n", said.out)
    assert "40 keys" in said.out
    assert "\x1b" not in said.out + said.err


def test_with_json_it_prints_the_record_and_nothing_else(keep: Keep) -> None:
    said = redkeep("run", "backup", "main", "--json", config=keep.config_path)
    assert (said.code, said.err) == (0, "")
    run = said.json
    assert set(run) == RESULT
    assert (run["task"], run["target"], run["slot"], run["error"]) == ("tasks.backup", "main", None, None)
    assert run["outcome"] == "succeeded"
    manifest = keep.manifest_of(run["id"])
    assert manifest is not None
    assert run["figures"]["backup"] == manifest.id
    assert run["figures"]["bytes"] == manifest.plaintext.bytes
    assert set(run["phases"]) >= {"wait", "fork", "ship", "commit"}


def test_detached_it_prints_the_id_alone(keep: Keep) -> None:
    said = redkeep("run", "backup", "main", "--detach", config=keep.config_path)
    assert (said.code, said.err) == (0, "")
    run_id = said.out.strip()
    assert said.out == f"{run_id}\n"
    assert eventually(lambda: state(keep, run_id) == "succeeded")
    told = redkeep("run", "backup", "main", "--detach", "--json", config=keep.config_path)
    assert set(told.json) == {"id"}
    assert eventually(lambda: state(keep, told.json["id"]) == "succeeded")


def test_a_run_that_fails_exits_with_its_code_and_says_what_to_do(keep: Keep, worker: Running) -> None:
    said = redkeep("run", "backup", "unfollowable", config=keep.config_path)
    assert (said.code, said.out) == (36, "")
    assert "tasks.backup unfollowable: failed" in said.err
    assert "redkeep: no folder /nowhere" in said.err
    assert "[data-dir-unreadable, 36]" in said.err
    assert "Traceback" not in said.err
    told = redkeep("run", "backup", "unfollowable", "--json", config=keep.config_path)
    assert told.code == 36
    assert set(told.json) == RESULT
    assert told.json["outcome"] == "failed"
    assert set(told.json["error"]) == {"code", "name", "message", "hint"}
    worker.until(f"run {told.json['id']} failed: no folder /nowhere")
    assert "Traceback" not in worker.log, "what is foreseen is one line in the worker's log as well"


def test_check_sees_the_worker_and_misses_beat(keep: Keep) -> None:
    said = redkeep("check", "main", "--json", config=keep.config_path)
    assert (said.code, said.err) == (58, "")
    assert all(set(row) == {"what", "level", "told", "remedy"} for row in said.json)
    workers = {row["told"]: row["remedy"] for row in said.json if row["what"] == "workers"}
    assert any(told.startswith("queue backup is served by backup@") for told in workers)
    assert workers["no beat answers: nothing is sent on schedule"] == "redkeep beat"


# -- left --------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("slow")
def test_ctrl_c_leaves_the_run_and_says_how_to_find_it(keep: Keep) -> None:
    with Running("run", "backup", "main", config=keep.config_path) as run:
        run.until("running ship").interrupt()
        assert run.wait() == 130
        found = re.search(r"`redkeep show ([0-9a-f]{8})` looks at it, `redkeep cancel \1` stops it", run.log)
        assert found, run.log
        assert "Traceback" not in run.log
    shown = here("show", found[1], "--json", config=keep.config_path).json
    assert shown["outcome"] == "running"
    assert eventually(lambda: state(keep, shown["id"]) == "succeeded")


# -- in a terminal -----------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("slow")
def test_in_a_terminal_a_bar_shows_phase_bytes_and_rate(keep: Keep) -> None:
    seen = in_terminal("run", "backup", "main", config=keep.config_path, columns=80)
    assert seen.code == 0, seen.out
    frames = re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.out))
    drawn = [frame for frame in frames if re.search(r"ship .*━.* \d+(\.\d+)?/\d+(\.\d+)? ([KM]iB|bytes)", frame)]
    assert drawn, seen.out
    assert all(len(frame) <= 80 for frame in frames)
    assert any("/s" in frame for frame in drawn)
    assert "\x1b[?25h" in seen.out, "the cursor is given back"
    assert any(frame.startswith("succeeded main") for frame in frames)


@pytest.mark.usefixtures("slow")
def test_ctrl_c_in_a_terminal_takes_the_bar_away_and_leaves_the_run(keep: Keep) -> None:
    seen = in_terminal("run", "backup", "main", config=keep.config_path, interrupt_at="ship")
    assert seen.code == 130
    assert "The run goes on without us" in seen.out
    assert "Traceback" not in seen.out
    assert seen.out.rstrip().endswith("stops it.")


# -- carried here ------------------------------------------------------------------------------------------------------


def test_inline_it_needs_no_worker(lonely: Keep) -> None:
    said = redkeep("run", "backup", "main", "--inline", "--json", config=lonely.config_path)
    assert (said.code, said.err) == (0, "")
    assert said.json["outcome"] == "succeeded"
    assert lonely.manifest_of(said.json["id"]) is not None
    assert str(lonely.record(said.json["id"]).get("by")).endswith(" inline")
    plain = redkeep("run", "backup", "main", "--inline", config=lonely.config_path)
    assert plain.code == 0
    assert plain.out.startswith("succeeded main ")
    assert plain.err.splitlines()[-1] == "tasks.backup main: succeeded"


def test_inline_a_failure_has_its_code_too(lonely: Keep) -> None:
    said = redkeep("run", "backup", "unfollowable", "--inline", config=lonely.config_path)
    assert said.code == 36
    assert "redkeep: no folder /nowhere" in said.err
    assert "Traceback" not in said.err


@pytest.mark.usefixtures("slow")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_inline_a_signal_stops_it_cleanly(lonely: Keep, sent: signal.Signals) -> None:
    with Running("run", "backup", "main", "--inline", config=lonely.config_path) as run:
        run.until("running ship")
        os.kill(run.pid, sent)
        assert run.wait() == 25
        assert "the run was cancelled" in run.log
        assert "Traceback" not in run.log
    (record,) = json.loads(here("history", "--task", "backup", "--json", config=lonely.config_path).out)
    assert record["outcome"] == "cancelled"
    assert lonely.left() == []
    assert lonely.lease_holder() is None


def test_inline_ctrl_c_while_it_waits_for_the_lease_ends_it(lonely: Keep, site: RedisServer) -> None:
    slow_down(site, 0.1)
    try:
        first = lonely.started()
        eventually(lonely.lease_holder)
        with Running("run", "backup", "main", "--inline", config=lonely.config_path) as run:
            run.until("main: waiting").interrupt()
            assert run.wait() == 25
            assert "Traceback" not in run.log
            assert "the lease is held by backup of main" in run.log
        newest = here("history", "--task", "backup", "--json", config=lonely.config_path).json[0]
        assert newest["outcome"] == "cancelled"
    finally:
        slow_down(site, 0)
    assert first.result(60).state == "succeeded"


# -- where nobody works ------------------------------------------------------------------------------------------------


def test_without_a_worker_it_says_which_to_start_and_ends_once_it_has_started(lonely: Keep) -> None:
    with Running("run", "backup", "main", config=lonely.config_path) as run:
        run.until("redkeep: no worker takes from queue 'backup'")
        run.until("Start one with `redkeep worker backup`")
        assert run.process.poll() is None
        with Running("worker", "backup", config=lonely.config_path):
            assert run.wait() == 0
        assert "tasks.backup main: succeeded" in run.log
    assert len(lonely.manifests()) == 1


ASKED = [
    "run backup main",
    "run backup main --inline",
    "run backup main --json",
    "worker backup --ping",
    "check",
    "history --json",
    "cancel 1a2b",
    "pause main",
]


@pytest.fixture(scope="module")
def said_without_control(tmp_path_factory: pytest.TempPathFactory, site: RedisServer) -> dict[str, Done]:
    keep = Keep(tmp_path_factory.mktemp("down"), site.url, "redis://127.0.0.1:1/0", data_dir=site.dir)
    return at_once({each: partial(redkeep, *each.split(), config=keep.config_path) for each in ASKED})


@pytest.mark.parametrize("asked", ASKED)
def test_a_control_redis_that_is_down_is_told_in_one_line(asked: str, said_without_control: dict[str, Done]) -> None:
    said = said_without_control[asked]
    assert "Traceback" not in said.err + said.out
    if asked == "check":
        assert said.code == 58
        assert "the control Redis redis://127.0.0.1:1/0 does not serve" in said.out
        return
    assert said.code == 20
    error = said.json["error"]["message"] if "--json" in asked else said.err.splitlines()[0]
    assert "the control Redis redis://127.0.0.1:1/0 does not serve" in error
    assert len(said.err.splitlines()) == (0 if "--json" in asked else 2)

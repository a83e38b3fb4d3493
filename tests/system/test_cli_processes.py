"""worker, beat, flower and demo: started from anywhere, with whatever lies there, and gone when they end."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from rig.commands import REDKEEP, Running, environment, here, redkeep, run
from rig.keep import Keep, eventually
from rig.ports import ReservedPort
from rig.redis_servers import RedisServer

HOSTILE = "raise SystemExit('somebody else\\'s file was run: ' + __file__)\n"
NAMES = ("celery.py", "celeryconfig.py", "flowerconfig.py", "kombu.py", "redis.py", "tasks.py", "settings.py")


@pytest.fixture(scope="module")
def site(control: RedisServer) -> Iterator[RedisServer]:
    with RedisServer(control.flavour) as server:
        server.client().set("a", 1)
        yield server


@pytest.fixture
def keep(site: RedisServer, control: RedisServer, tmp_path: Path) -> Keep:
    (tmp_path / "keep").mkdir()
    return Keep(tmp_path / "keep", site.url, control.url, data_dir=site.dir)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder in which everything has the name of something of ours, and ends the process that imports it."""
    folder = tmp_path / "hostile"
    (folder / "tasks").mkdir(parents=True)
    for name in (*NAMES, "tasks/__init__.py", "tasks/celery.py"):
        (folder / name).write_text(HOSTILE)
    return folder


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        return refused.code
    except OSError:
        return 0


# -- from any folder ---------------------------------------------------------------------------------------------------


def test_nothing_in_the_current_folder_is_taken_for_ours(keep: Keep, hostile: Path) -> None:
    config = keep.config_path
    port = ReservedPort()
    with (
        Running("worker", "backup", config=config, cwd=hostile) as worker,
        Running("beat", "--schedule", keep.folder / "beat", config=config, cwd=hostile) as beat,
        Running("flower", "--port", port.number, "--no-password", config=config, cwd=hostile) as flower,
    ):
        worker.until("ready.")
        beat.until("beat: Starting...")
        assert redkeep("run", "backup", "main", config=config, cwd=hostile).code == 0
        checked = redkeep("check", config=config, cwd=hostile).out
        assert "beat is alive" in checked
        assert "all 2 were started with these settings" in checked
        assert eventually(lambda: status(f"http://127.0.0.1:{port.number}/") == 200)
        assert not [each.log for each in (worker, beat, flower) if "somebody else" in each.log]
    port.release()
    assert len(keep.manifests()) == 1
    assert sorted(path.name for path in hostile.iterdir()) == sorted([*NAMES, "tasks"]), "and nothing is left there"


def test_beat_keeps_its_memory_in_the_users_state_folder(keep: Keep, tmp_path: Path) -> None:
    with Running("beat", config=keep.config_path, cwd=tmp_path, XDG_STATE_HOME=str(tmp_path / "state")) as beat:
        beat.until("beat: Starting...")
        assert eventually(lambda: list((tmp_path / "state" / "redkeep").glob("beat-schedule*")))
    assert (tmp_path / "state" / "redkeep").stat().st_mode & 0o777 == 0o700
    assert not list(tmp_path.glob("celerybeat*"))


# -- options -----------------------------------------------------------------------------------------------------------


def test_what_follows_the_queues_goes_to_celery_as_it_is(keep: Keep) -> None:
    options = ("--pool=threads", "--", "-c", "2")
    with Running("worker", "--name", "two@here", "backup", "tidy", *options, config=keep.config_path) as worker:
        worker.until("ready.")
        assert "concurrency: 2 (thread)" in worker.log
        assert "two@here" in worker.log
        assert ".> tidy" in worker.log


def test_settings_that_are_wrong_end_a_worker_in_one_line(keep: Keep) -> None:
    keep.config_path.write_text(keep.config_path.read_text() + "[nonsense]\n")
    for command in (("worker", "backup"), ("beat",), ("flower", "--no-password")):
        said = here(*command, config=keep.config_path)
        assert said.code == 11
        assert said.err.startswith("redkeep: redkeep.toml: nonsense: is not a known key\n")
        assert "Traceback" not in said.err


def test_flower_lets_nobody_in_without_the_password(keep: Keep) -> None:
    port = ReservedPort()
    with Running("flower", "--port", port.number, config=keep.config_path, FLOWER_BASIC_AUTH="ops:secret"):
        address = f"127.0.0.1:{port.number}"
        assert eventually(lambda: status(f"http://{address}/") == 401)
        assert status(f"http://{address}/api/tasks") == 401
        assert status(f"http://{address}/api/workers") == 401
        asked = ["curl", "-s", "-o", os.devnull, "-w", "%{http_code}", "-u"]
        assert run([*asked, "ops:wrong", f"http://{address}/api/tasks"], env=environment()).out == "401"
        assert run([*asked, "ops:secret", f"http://{address}/api/tasks"], env=environment()).out == "200"
    port.release()


# -- the demo ----------------------------------------------------------------------------------------------------------


def marked(folder: Path) -> dict[str, str]:
    """An environment that whatever is started in it hands on."""
    folder.mkdir()
    return {"TMPDIR": str(folder), "MARK_OF_A_TEST": str(folder)}


def left_behind(folder: Path) -> list[str]:
    """Processes that were started with that mark, and what lies in the folder."""
    mark = f"MARK_OF_A_TEST={folder}".encode()
    found = [str(path) for path in folder.iterdir()]
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0") and (entry / "cmdline").read_bytes():
                found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


STORY = (
    "beat's schedule fired a backup",
    " of 180 removed, ",
    "long feeds: 24 of 24 trimmed",
    "the next backup, started by hand, is ",
    "recovery time ",
    "Flower shows them all",
    "/redkeep: the newest backup is ",
    "every key is there",
    "Done.",
)


def test_the_demo_runs_through_and_leaves_nothing(tmp_path: Path, hostile: Path) -> None:
    env = environment(None, **marked(tmp_path / "tmp"))
    said = run([REDKEEP, "demo", "--megabytes", "4"], env=env, cwd=hostile)
    assert said.code == 0, said.out + said.err
    for words in STORY:
        assert words in said.out
    assert left_behind(tmp_path / "tmp") == []


def test_the_demo_cleans_up_when_it_is_told_to_end(tmp_path: Path) -> None:
    with Running("demo", "--megabytes", "4", **marked(tmp_path / "tmp")) as demo:
        demo.until("an S3 server")
        assert left_behind(tmp_path / "tmp") != []
        os.kill(demo.pid, signal.SIGTERM)
        assert demo.wait() == 143
        assert "Traceback" not in demo.log
    assert left_behind(tmp_path / "tmp") == []

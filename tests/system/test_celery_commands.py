"""Celery's own commands from a checkout, Flower's API, beat, and the queue that a message goes to."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from celery.schedules import crontab
from rig.beats import memory_of_a_beat_that_was_away, same_memory
from rig.commands import CELERY, ROOT, Done, Running, environment, here, run
from rig.keep import Keep, eventually
from rig.ports import ReservedPort
from rig.redis_servers import RedisServer
from rig.saving import fill_slow, slow_down

from tasks.control import connect
from tasks.names import slot_id, slot_name
from tasks.niceness import NICE
from tasks.records import FINAL
from tasks.schedule import last_due

DAILY = "7 3 * * *"
"""Falls due once a day, so that no minute that passes in a test changes anything."""
MORE_TARGETS = """
[[target]]
name = "near"
url = "{url}"
worker = "db1"
"""


@pytest.fixture(scope="module")
def site(control: RedisServer) -> Iterator[RedisServer]:
    with RedisServer(control.flavour) as server:
        fill_slow(server, 0, keys=40, size=50_000)
        yield server


Install = Callable[[Path], Keep]


@pytest.fixture(scope="module")
def install(site: RedisServer, control: RedisServer) -> Install:
    def installed(folder: Path) -> Keep:
        pace = {"patience": "1s", "lease_ttl": "5s", "visibility": "10s"}
        keep = Keep(folder, site.url, control.url, data_dir=site.dir, control=pace, schedule=DAILY)
        with keep.config_path.open("a") as file:
            file.write(MORE_TARGETS.format(url=site.url))
        return keep

    return installed


@pytest.fixture(scope="module")
def keep(install: Install, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keep]:
    """An installation whose worker is Celery's own command, called in the checkout."""
    made = install(tmp_path_factory.mktemp("keep"))
    with Running("worker", "-Q", "backup", "-n", "checkout@here", "-l", "info", **in_checkout(made)) as worker:
        worker.until("ready.")
        yield made


def in_checkout(keep: Keep) -> dict[str, Any]:
    return {"program": (CELERY, "-A", "tasks"), "config": keep.config_path, "cwd": ROOT, "REMAP_SIGTERM": "SIGQUIT"}


def celery(keep: Keep, *arguments: str) -> Done:
    return run([CELERY, "-A", "tasks", *arguments], env=environment(keep.config_path), cwd=ROOT)


def called(keep: Keep, *targets: str) -> str:
    """The run's id."""
    said = celery(keep, "call", "tasks.backup", "--args", json.dumps(targets))
    assert said.code == 0, said.err
    return said.out.strip()


def ended(keep: Keep, run_id: str) -> str:
    eventually(lambda: any(each["id"] == run_id and each["outcome"] in FINAL for each in runs(keep)))
    return keep.record(run_id).state


def runs(keep: Keep) -> list[dict[str, Any]]:
    return list(here("history", "--task", "backup", "--json", config=keep.config_path).json)


# -- commands ----------------------------------------------------------------------------------------------------------


def test_call_starts_a_backup_that_is_recorded_as_any_other(keep: Keep) -> None:
    run_id = called(keep, "main")
    assert ended(keep, run_id) == "succeeded"
    assert keep.manifest_of(run_id) is not None
    assert keep.record(run_id).get("by") == "manual"
    result = celery(keep, "result", run_id)
    assert result.code == 0
    assert "'outcome': 'succeeded'" in result.out


def test_call_for_a_target_that_is_not_there_any_more_fails_by_name(keep: Keep) -> None:
    run_id = called(keep, "gone")
    assert ended(keep, run_id) == "failed"
    error = keep.record(run_id).get("error")
    assert (error["code"], error["message"]) == (13, "no target is called 'gone'")
    assert "Use one of: main, near." in error["hint"]


def test_call_with_arguments_that_no_task_takes_fails_in_the_record_too(keep: Keep) -> None:
    run_id = called(keep)
    eventually(lambda: keep.record(run_id).state == "failed")
    error = keep.record(run_id).get("error")
    assert error["code"] == 99
    assert "the message cannot be understood (backup() " in error["message"]


def test_report_and_inspect_answer(keep: Keep) -> None:
    report = celery(keep, "report")
    assert report.code == 0
    assert "broker_transport_options" in report.out
    ping = celery(keep, "inspect", "-d", "checkout@here", "ping", "--json")  # named, it need not wait for others
    assert json.loads(ping.out)["checkout@here"] == {"ok": "pong"}
    conf = json.loads(celery(keep, "inspect", "-d", "checkout@here", "conf", "--json").out)["checkout@here"]
    assert conf["task_acks_late"] is True


def test_the_process_that_works_leaves_the_processors_to_the_server(keep: Keep) -> None:
    stats = json.loads(celery(keep, "inspect", "-d", "checkout@here", "stats", "--json").out)["checkout@here"]
    (child,) = stats["pool"]["processes"]
    assert os.getpriority(os.PRIO_PROCESS, child) >= NICE


def test_a_queue_that_is_misspelled_is_an_error(keep: Keep) -> None:
    said = celery(keep, "worker", "-Q", "bakcup")
    assert said.code != 0
    assert "bakcup" in said.out + said.err


def test_settings_that_are_wrong_are_one_line(keep: Keep, tmp_path: Path) -> None:
    (tmp_path / "redkeep.toml").write_text("[control]\n")
    said = run([CELERY, "-A", "tasks", "report"], env=environment(tmp_path / "redkeep.toml"), cwd=ROOT)
    assert said.code != 0
    assert "control.url: is required" in said.out + said.err
    assert "Traceback" not in said.out + said.err


# -- Flower ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def flower(keep: Keep) -> Iterator[Callable[..., Any]]:
    """``flower("/api/tasks")`` is its answer, decoded; with ``login=""`` the status of one without a password."""
    port = ReservedPort()

    def ask(path: str, body: dict[str, Any] | None = None, *, login: str = "ops:secret") -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{port.number}{path}")
        if login:
            request.add_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
        if body is not None:
            request.data = json.dumps(body).encode()
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as refused:
            return refused.code
        except urllib.error.URLError:
            return None

    with Running("flower", f"--port={port.number}", FLOWER_BASIC_AUTH="ops:secret", **in_checkout(keep)):
        eventually(lambda: ask("/api/workers?refresh=1"))
        yield ask
    port.release()


def test_flower_shows_a_backup_with_name_arguments_and_state(keep: Keep, flower: Callable[..., Any]) -> None:
    run_id = called(keep, "main")
    shown = eventually(lambda: (flower("/api/tasks") or {}).get(run_id, {}).get("state") == "SUCCESS")
    assert shown
    task = flower("/api/tasks")[run_id]
    assert task["name"] == "tasks.backup"
    assert "main" in task["args"]
    assert task["worker"] == "checkout@here"
    assert "'outcome': 'succeeded'" in flower(f"/api/task/info/{run_id}")["result"]


def test_flower_starts_a_backup(keep: Keep, flower: Callable[..., Any]) -> None:
    answer = flower("/api/task/async-apply/tasks.backup", {"args": ["main"], "kwargs": {"by": "flower"}})
    assert ended(keep, answer["task-id"]) == "succeeded"
    assert keep.manifest_of(answer["task-id"]) is not None
    assert keep.record(answer["task-id"]).get("by") == "flower"


@pytest.mark.parametrize("login", ["", "ops:wrong", "nobody:secret"])
def test_flower_lets_nobody_in_without_the_password(flower: Callable[..., Any], login: str) -> None:
    for path in ("/", "/workers", "/tasks", "/api/tasks", "/api/workers"):
        assert flower(path, login=login) == 401
    assert flower("/api/task/async-apply/tasks.backup", {"args": ["main"]}, login=login) == 401


# -- where a message goes ----------------------------------------------------------------------------------------------


def waiting_in(keep: Keep, queue: str) -> int:
    client = connect(keep.settings.control)
    try:
        return int(client.llen(f"{keep.settings.control.namespace}:celery:{queue}"))
    finally:
        client.close()


def test_a_target_with_a_worker_of_its_own_has_its_own_queue(keep: Keep) -> None:
    run_id = called(keep, "near")
    assert waiting_in(keep, "backup.db1") == 1
    assert keep.record(run_id).state == "queued"
    with Running("worker", "backup.db1", config=keep.config_path):
        assert ended(keep, run_id) == "succeeded"
    assert waiting_in(keep, "backup.db1") == 0


# -- beat --------------------------------------------------------------------------------------------------------------


def test_a_beat_that_was_away_sends_the_slot_that_was_missed_and_two_beats_make_one_backup_of_it(
    install: Install, site: RedisServer, tmp_path: Path
) -> None:
    (tmp_path / "keep").mkdir()
    keep = install(tmp_path / "keep")
    one = memory_of_a_beat_that_was_away(keep.config_path, tmp_path / "one")
    other = same_memory(one, tmp_path / "other")
    slot = slot_name("tasks.backup", "main", last_due(crontab.from_string(DAILY), datetime.now(UTC)))

    def of_the_slot() -> list[dict[str, Any]]:
        return [each for each in runs(keep) if each["slot"] == slot]

    slow_down(site, 0.03)
    with (
        Running("worker", "-Q", "backup", "-c", "2", **in_checkout(keep)),
        Running("beat", "-s", str(one), "--pidfile=", **in_checkout(keep)),
        Running("beat", "-s", str(other), "--pidfile=", **in_checkout(keep)),
    ):
        eventually(lambda: len(of_the_slot()) == 2, within=30)
        eventually(lambda: {each["outcome"] for each in of_the_slot()} == {"succeeded", "skipped"}, within=30)
    slow_down(site, 0)
    (manifest,) = keep.manifests()
    assert (manifest.slot, manifest.id) == (slot, slot_id(slot))
    (skipped,) = [each for each in of_the_slot() if each["outcome"] == "skipped"]
    assert skipped["error"]["name"] == "slot-committed"
    assert {keep.record(each["id"]).get("by") for each in of_the_slot()} == {"beat"}


def test_a_beat_that_remembers_sends_nothing_again(install: Install, tmp_path: Path) -> None:
    (tmp_path / "keep").mkdir()
    keep = install(tmp_path / "keep")
    memory = memory_of_a_beat_that_was_away(keep.config_path, tmp_path / "beat", days=0)
    with Running("beat", "-s", str(memory), "--pidfile=", "-l", "debug", **in_checkout(keep)) as beat:
        beat.until("beat: Waking up")  # it has looked at every entry
    assert runs(keep) == []

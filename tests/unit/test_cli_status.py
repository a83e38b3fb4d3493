"""redkeep status: what it says, and the exit code that says it to a monitor."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rig.commands import here, in_terminal
from rig.installations import settings_text
from rig.redis_servers import RedisServer
from rig.runs import begun
from rig.shelves import put_backup

from tasks import lease
from tasks.alarms import Alarm, Alarms, course
from tasks.control import Client
from tasks.errors import DrillFailed, UnknownTarget
from tasks.manifest import Manifest
from tasks.names import Keys
from tasks.records import Records
from tasks.settings import load
from tasks.store import Store, open_store
from tasks.verdicts import pronounce, statement

Shelve = Callable[..., Manifest]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def store(folder: Path) -> Store:
    return open_store(folder.as_uri())


@pytest.fixture
def shelve(store: Store) -> Shelve:
    """A backup that was taken so long ago."""
    return lambda target="main", **ago: put_backup(store, datetime.now(UTC) - timedelta(**ago), target=target)


@pytest.fixture
def config(control_server: RedisServer, namespace: str, folder: Path, tmp_path: Path) -> Path:
    return written(tmp_path, folder, control_server.url, namespace)


def written(tmp_path: Path, folder: Path, control_url: str, namespace: str) -> Path:
    targets: dict[str, dict[str, Any]] = {"main": {"url": "redis://:hunter2@db1:6379"}, "other": {}}
    path = tmp_path / "redkeep.toml"
    path.write_text(settings_text(control_url, namespace=namespace, store=folder.as_uri(), targets=targets))
    return path


def test_a_fresh_installation_exits_0_and_its_first_line_says_so(config: Path, shelve: Shelve) -> None:
    shelve(minutes=12), shelve("other", hours=1)
    done = here("status", config=config)
    assert done.code == 0, done.err
    first, empty, heading, *rows = done.out.splitlines()
    assert first.startswith("FRESH main: the newest backup is 12 min old, its objective 2 h; other: the newest")
    assert (empty, heading) == ("", "main  fresh  the newest backup is 12 min old, its objective 2 h")
    assert rows[0] == "  backup    12 min ago, 1000 B, 21 B stored, 1 keys; 1 in the store"
    assert [each.split()[0] for each in rows[1:4]] == ["verified", "drilled", "next"]
    assert "hunter2" not in done.out


def test_the_exit_code_is_that_of_the_worst_target_and_of_the_one_that_is_asked_for(
    config: Path, shelve: Shelve, store: Store
) -> None:
    shelve(hours=3), shelve("other", minutes=5)
    assert here("status", config=config).code == 1
    assert here("status", "other", config=config).code == 0
    told = here("status", "main", config=config)
    assert told.code == 1
    assert "other" not in told.out
    bad = shelve(minutes=1)
    pronounce(store, "main", bad.id, "drilled", statement(error=DrillFailed("it lost keys")))
    done = here("status", config=config)
    assert done.code == 2
    assert done.out.splitlines()[0].startswith("BROKEN main: the last drill failed")
    assert done.out.splitlines()[0].endswith("it lost keys; 1 fresh")


def test_a_store_that_does_not_answer_exits_3(config: Path, folder: Path) -> None:
    folder.rmdir()
    done = here("status", config=config)
    assert done.code == 3
    assert done.out.startswith("UNKNOWN main: the store does not answer: ")


def test_a_control_redis_that_does_not_answer_is_noticed_though_the_data_is_fresh(
    tmp_path: Path, folder: Path, shelve: Shelve
) -> None:
    shelve(minutes=12), shelve("other", minutes=12)
    done = here("status", config=written(tmp_path, folder, "redis://127.0.0.1:1/0", "nobody"))
    assert done.code == 3
    assert done.out.splitlines()[0] == "UNKNOWN the control Redis does not answer; 2 fresh"
    assert done.out.splitlines()[1].startswith("control     the control Redis redis://127.0.0.1:1/0 does not serve")


def test_it_shows_what_runs_who_holds_what_what_is_paused_and_what_is_wrong(
    config: Path, client: Client, names: Keys
) -> None:
    records = Records(client, load(config).control)
    begun(records, "r1")
    records.beat("r1", "n1", {"phase": "ship", "bytes": 50, "total": 200})
    lease.acquire(client, names, ["target:main"], token="t", holder="backup of main, run r1", ttl=60)
    client.hset(names.paused("other"), "*", "moving house")
    alarms = Alarms(client, names, "main")
    now = datetime.now(UTC).timestamp()
    for alarm in (Alarm("backup", "backup failed", certain=True), Alarm("age", "it is old")):
        (change,) = course(alarms.read(), [alarm], now - 7200, unseen={"backup"})
        alarms.settle(change, told=True)
    out = here("status", config=config).out
    assert "  now       backup: ship, 25% of about 200 B, since 0 s ago\n" in out
    assert "  held by   backup of main, run r1\n" in out
    assert "  paused    everything: moving house\n" in out
    assert "  alarm     backup failed (found 2 h ago)\n" in out
    assert "  alarm     it is old (found 2 h ago, nobody was told yet)\n" in out
    assert out.splitlines()[0].endswith("; 2 alarms")


def test_as_json_it_is_the_context_and_the_exit_code_stands(config: Path, shelve: Shelve) -> None:
    shelve(hours=3)
    done = here("status", "main", "--json", config=config)
    assert done.code == 1
    (main,) = done.json["targets"]
    assert (main["state"], main["alarms"], main["backups"]["count"]) == ("stale", [], 1)
    assert "hunter2" not in done.out


def test_a_target_that_is_not_there_is_an_error(config: Path) -> None:
    assert here("status", "nobody", config=config).code == UnknownTarget.code


@pytest.mark.parametrize("asked", [("--watch",), ("--watch", "--json")])
def test_watching_needs_a_terminal(config: Path, asked: tuple[str, ...]) -> None:
    assert here("status", *asked, config=config).code == 64


@pytest.mark.parametrize("columns", [80, 120])
def test_in_a_terminal_what_is_long_goes_on_below_itself(config: Path, columns: int) -> None:
    shown = in_terminal("status", config=config, columns=columns)
    assert shown.code == 2
    assert "there is no backup" in shown.out
    assert "Traceback" not in shown.out


def test_ctrl_c_ends_watching_and_leaves_the_terminal_as_it_was(config: Path) -> None:
    done = in_terminal("status", "--watch", config=config, interrupt_at="Ctrl-C ends it")
    assert done.code == 130
    assert done.out.count("\x1b[?1049h") == done.out.count("\x1b[?1049l") == 1  # into the other screen, and back
    assert done.out.rindex("\x1b[?25h") > done.out.rindex("\x1b[?25l")  # the cursor
    assert "Traceback" not in done.out

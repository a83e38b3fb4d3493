"""celeryconfig.py holds Celery's settings and nothing else, every one that was found to be needed, and is ours."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from celery import Celery
from celery.app.defaults import SETTING_KEYS
from rig.installations import settings_text

from tasks import settings

ROOT = Path(__file__).parents[2]
REDKEEP = Path(sys.executable).with_name("redkeep")
PASSWORD = "hunter2-correct-horse"


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "conf" / "redkeep.toml"
    path.parent.mkdir()
    path.write_text(settings_text(f"redis://ops:{PASSWORD}@127.0.0.1:1/3", namespace="site"))
    return path


@pytest.fixture
def config(config_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """celeryconfig.py, executed anew."""
    monkeypatch.setenv("REDKEEP_CONFIG", str(config_file))
    settings.current.cache_clear()
    spec = importlib.util.spec_from_file_location("celeryconfig_under_test", ROOT / "celeryconfig.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    settings.current.cache_clear()


def public(module: ModuleType) -> dict[str, Any]:
    return {name: value for name, value in vars(module).items() if not name.startswith("__")}


def test_every_attribute_is_a_setting_that_celery_knows(config: ModuleType) -> None:
    undeclared = {"redis_backend_health_check_interval"}  # documented, and read by celery/backends/redis.py
    assert set(public(config)) - undeclared <= SETTING_KEYS


WANTED = {
    "task_acks_late": True,
    "worker_prefetch_multiplier": 1,
    "worker_concurrency": 1,
    "task_serializer": "json",
    "result_serializer": "json",
    "accept_content": ["json"],
    "task_acks_on_failure": True,
    "task_acks_on_timeout": True,
    "task_track_started": True,
    "worker_send_task_events": True,
    "task_send_sent_event": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "worker_deduplicate_successful_tasks": True,
    "task_create_missing_queues": False,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "task_reject_on_worker_lost": False,
    "task_retry_on_worker_lost": True,
    "redis_socket_keepalive": True,
    "beat_enable_remote_control": True,
    "enable_utc": True,
    "timezone": "UTC",
}


def test_all_that_was_found_to_be_needed_is_set(config: ModuleType) -> None:
    found = public(config)
    assert {name: found.get(name, "not set") for name in WANTED} == WANTED
    assert found["worker_soft_shutdown_timeout"] > 0
    assert found["result_expires"] >= 7 * 86_400
    assert found["task_soft_time_limit"] < found["task_time_limit"]
    assert found["redis_backend_health_check_interval"] > 0
    assert found["task_publish_retry_policy"]["max_retries"] is None
    options = found["broker_transport_options"]
    assert options["visibility_timeout"] == 300
    assert options["unacked_restore_throttle"] == 1
    assert options["global_keyprefix"] == found["result_backend_transport_options"]["global_keyprefix"]
    assert options["global_keyprefix"] == "site:celery:"
    assert options["socket_keepalive"] is True
    assert options["health_check_interval"] > 0
    assert {queue.name for queue in found["task_queues"]} >= {"backup", "tidy", "rewrite", "drill", "housekeeping"}


def test_no_task_gives_up_by_celerys_own_counting_and_none_waits_beyond_the_visibility_timeout(
    config: ModuleType,
) -> None:
    app = Celery(set_as_current=False)
    app.config_from_object(config)

    @app.task(name="tasks.backup")
    def task(target: str) -> None:
        """Any task."""

    assert task.max_retries is None
    assert 0 < task.default_retry_delay < config.broker_transport_options["visibility_timeout"] / 2


def test_no_view_of_the_settings_shows_the_password(config: ModuleType) -> None:
    app = Celery("x", set_as_current=False)
    app.config_from_object(config)
    for shown in (app.bugreport(), app.conf.humanize(with_defaults=True, censored=True), json.dumps(
        app.conf.table(with_defaults=False, censored=True), default=repr
    )):
        assert PASSWORD not in shown
        assert "worker_prefetch_multiplier" in shown


# -- in a process of its own -----------------------------------------------------------------------------


def python(code: str, cwd: Path, config_file: Path | None, *flags: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | ({"REDKEEP_CONFIG": str(config_file)} if config_file else {})
    command = [sys.executable, *flags, "-c", code]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A folder where everything is called as ours is."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    for name in ("celeryconfig.py", "tasks.py", "flowerconfig.py"):
        (folder / name).write_text(f"raise SystemExit('the foreign {name} was taken')\n")
    (folder / "redkeep.toml").write_text("the foreign redkeep.toml was taken")
    return folder


def test_a_celeryconfig_in_the_current_directory_is_not_taken(foreign: Path, config_file: Path) -> None:
    (foreign / "tasks.py").unlink()
    done = python("from tasks.celery import app; print(app.conf.broker_url)", foreign, config_file)
    assert (done.stdout, done.returncode) == (f"redis://ops:{PASSWORD}@127.0.0.1:1/3\n", 0), done.stderr


def test_the_command_takes_nothing_from_the_current_directory(foreign: Path, config_file: Path) -> None:
    environment = os.environ | {"REDKEEP_CONFIG": str(config_file)}
    command = [REDKEEP, "worker", "backup", "--", "--help"]
    done = subprocess.run(
        command, cwd=foreign, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "foreign" not in done.stdout + done.stderr
    assert "--concurrency" in done.stdout


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "no settings file at"),
        ("[control]\nurl = 'http://x'\n", "is required"),
        ("[control", "is not TOML"),
    ],
)
def test_a_settings_error_is_told_and_not_a_traceback(tmp_path: Path, text: str | None, told: str) -> None:
    path = tmp_path / "redkeep.toml"
    if text is not None:
        path.write_text(text)
    done = python("import tasks.celery", tmp_path, path)
    assert done.returncode not in (0, None)
    assert done.stdout == ""
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("redkeep: ")


def test_one_wrong_field_is_one_line_and_its_hint(tmp_path: Path) -> None:
    path = tmp_path / "redkeep.toml"
    path.write_text(settings_text("redis://h", namespace="a:b"))
    done = python("import tasks.celery", tmp_path, path)
    error, hint = done.stderr.splitlines()
    assert error.startswith("redkeep: redkeep.toml: control.namespace: ")
    assert hint.startswith("Correct the named field")
    assert done.returncode == 1

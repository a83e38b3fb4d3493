"""Looks under a real worker: who is told, what is sent once more, and that a backup does not wait for any of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from celery.schedules import crontab
from rig.commands import Running, here, redkeep
from rig.keep import Keep, eventually
from rig.listener import Listener
from rig.redis_servers import RedisServer

from tasks.control import connect
from tasks.errors import BucketMissing
from tasks.names import Keys, slot_name
from tasks.records import Records
from tasks.schedule import last_due

HOURLY = "7 * * * *"


@pytest.fixture
def listener() -> Iterator[Listener]:
    with Listener() as made:
        yield made


@pytest.fixture
def told(any_redis: RedisServer, keep: Callable[..., Keep], listener: Listener) -> Iterator[Keep]:
    """An installation whose alarms go to the listener, and a worker for each queue."""
    any_redis.client().set("key", "value")
    made = keep(any_redis, schedule=HOURLY)
    alerts = f'[alerts]\nwebhook_url = "{listener.url}"\nheartbeat_url = "{listener.url}"\n'
    made.config_path.write_text(made.config_path.read_text() + alerts)
    with (
        Running("worker", "backup", config=made.config_path) as worker,
        Running("worker", "housekeeping", config=made.config_path) as keeper,
    ):
        worker.until("ready.")
        keeper.until("ready.")
        yield made


@pytest.fixture
def records(told: Keep) -> Iterator[Records]:
    client = connect(told.settings.control)
    yield Records(client, told.settings.control)
    client.close()


def looked(keep: Keep) -> dict[str, Any]:
    done = redkeep("run", "watch", "main", "--json", config=keep.config_path)
    assert done.code == 0, done.out + done.err
    return dict(done.json["figures"])


def fail(records: Records, run_id: str) -> None:
    records.queue(run_id, task="tasks.backup", target="main")
    records.close(run_id, "failed", BucketMissing("no bucket").as_dict())


def test_a_backup_beats_the_heart_and_one_that_failed_is_told_until_the_next_good_one(
    told: Keep, records: Records, listener: Listener
) -> None:
    assert redkeep("run", "backup", "main", config=told.config_path).code == 0
    assert looked(told)["alarms"] == []
    assert (listener.paths(), listener.texts()) == ([""], [])
    fail(records, "r1")
    assert looked(told)["told"] == ["raised backup"]
    assert here("status", config=told.config_path).out.splitlines()[0].endswith("; 1 alarm")
    assert redkeep("run", "backup", "main", config=told.config_path).code == 0
    assert looked(told)["told"] == ["recovered backup"]
    assert listener.paths() == ["", "/fail", ""]
    assert [each.split()[1] for each in listener.texts()] == ["ALARM", "RECOVERED"]
    assert "watch" not in {each["task"] for each in here("history", "--json", config=told.config_path).json}


def test_a_slot_whose_run_died_for_good_is_sent_once_more_and_becomes_a_backup(told: Keep, records: Records) -> None:
    slot = slot_name("tasks.backup", "main", last_due(crontab.from_string(HOURLY), datetime.now(UTC)))
    records.queue("r1", task="tasks.backup", target="main", slot=slot, by="beat")
    records.close("r1", "died", {})
    client = connect(told.settings.control)
    long_ago = datetime.now(UTC) - timedelta(hours=1)
    client.hset(Keys(told.settings.control.namespace).run("r1"), "ended", long_ago.timestamp())
    client.close()
    assert looked(told)["again"] == [slot]
    (again,) = [each for each in records.newest("main", "tasks.backup") if each.id != "r1"]
    assert (again.get("slot"), again.get("by")) == (slot, "watch")
    eventually(lambda: records.read(again.id).state == "succeeded", within=60)
    (manifest,) = told.manifests()
    assert manifest.slot == slot
    assert looked(told)["again"] == []


def test_a_backup_does_not_wait_for_a_webhook_that_never_answers(
    told: Keep, records: Records, listener: Listener
) -> None:
    listener.silent = True
    fail(records, "r1")
    sent = redkeep("run", "watch", "main", "--detach", "--json", config=told.config_path).json["id"]
    eventually(lambda: listener.taken, within=60)
    assert redkeep("run", "backup", "main", config=told.config_path).code == 0
    eventually(lambda: records.read(sent).final, within=60)
    record = records.read(sent)
    assert (record.state, record.get("error")["name"]) == ("failed", "alert-undelivered")

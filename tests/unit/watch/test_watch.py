"""Looks at a target in a real store and a real control Redis; who is told stands behind a real web server."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rig.installations import settings_text
from rig.listener import SECRET, Listener
from rig.redis_servers import RedisServer
from rig.runs import begun, dies
from rig.shelves import put_backup

from tasks import alerts, job
from tasks.control import Client
from tasks.errors import AlertUndelivered, BucketMissing
from tasks.job import Job, Ticket
from tasks.names import Keys
from tasks.records import Record, Records
from tasks.settings import Settings, parse
from tasks.store import Store, open_store
from tasks.verdicts import pronounce, statement
from tasks.watch import Lost, look, watch

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LOOK = timedelta(minutes=5)


@dataclass
class Post:
    """Somebody who looks, at times that the test gives."""

    settings: Settings
    listener: Listener
    records: Records
    store: Store
    now: datetime = NOON
    sent: list[Lost] = field(default_factory=list)
    looks: int = 0

    def look(self, times: int = 1) -> Record:
        """So many looks, five minutes apart; the last one's record."""
        for _ in range(times):
            self.looks += 1
            self.now += LOOK
            run_id = f"look{self.looks}"
            self.carry(run_id)
        return self.records.read(run_id)

    def carry(self, run_id: str) -> None:
        ticket = Ticket(run_id, "tasks.watch", "main", by="test")
        target = self.settings.target[0]
        job.run(self.watch, ticket, self.settings, target)

    def watch(self, running: Job) -> None:
        target = self.settings.target[0]
        watch(running, self.settings, target, send=lambda _, each: self.sent.append(each), now=self.now)

    def backup(self, **ago: float) -> None:
        put_backup(self.store, self.now - timedelta(**ago))

    def ended(self, run_id: str, state: str, **fields: Any) -> None:
        begun(self.records, run_id)
        assert self.records.leave(run_id, "n1", state, fields)


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    monkeypatch.setattr(alerts, "PAUSE", 0.001)
    with Listener() as made:
        yield made


@pytest.fixture
def post(
    tmp_path: Path, control_server: RedisServer, namespace: str, listener: Listener, client: Client
) -> Post:
    text = settings_text(
        control_server.url,
        namespace=namespace,
        store=tmp_path.as_uri(),
        targets={"main": {"backup": {"max_age": "2h", "schedule": "7 * * * *"}}},
    )
    text += f'[alerts]\nwebhook_url = "{listener.url}"\nheartbeat_url = "{listener.url}"\n'
    made = parse(text, {}, Path("/nowhere/redkeep.toml"))
    return Post(made, listener, Records(client, made.control), open_store(tmp_path.as_uri()))


def test_all_is_well_and_nobody_hears_of_it_but_the_heartbeat_once_for_each_backup(post: Post) -> None:
    post.backup(hours=1)
    record = post.look(3)
    assert (record.get("figures")["state"], record.get("figures")["alarms"]) == ("fresh", [])
    assert (post.listener.texts(), post.listener.paths()) == ([], [""])
    post.backup(minutes=1)
    post.look(2)
    assert post.listener.paths() == ["", ""]


def test_a_stale_target_is_told_once_and_once_that_it_is_over(post: Post) -> None:
    post.backup(hours=3)
    post.look(4)
    (told,) = post.listener.texts()
    assert told.startswith("redkeep ALARM main: the newest backup is 3 h 10 min old, its objective 2 h. See what")
    post.backup(minutes=1)
    post.look(4)
    assert [each.partition(",")[0] for each in post.listener.texts()[1:]] == ["redkeep RECOVERED main"]
    assert post.listener.paths() == [""]  # the old one was no good backup


def test_a_message_has_everything_a_program_needs(post: Post) -> None:
    post.look(2)
    (taken,) = post.listener.taken
    told = taken.json
    assert (told["target"], told["state"], told["test"]) == ("main", "broken", False)
    (alarm,) = told["alarms"]
    assert (alarm["event"], alarm["kind"], alarm["words"]) == ("raised", "missing", "there is no backup")
    assert alarm["since"] == "2026-11-23T12:05:00Z"


def test_a_failed_backup_is_told_at_once_and_beats_badly_once(post: Post) -> None:
    post.backup(hours=1)
    post.ended("r1", "failed", error=BucketMissing("no <!channel> & bucket").as_dict())
    post.look(3)
    (told,) = post.listener.texts()
    assert "backup failed" in told
    assert "no &lt;!channel&gt; &amp; bucket" in told
    assert post.listener.paths() == ["", "/fail"]
    post.ended("r2", "succeeded")
    post.look()
    assert post.listener.texts()[-1].startswith("redkeep RECOVERED main")


def test_a_backup_whose_worker_was_killed_is_told(post: Post, client: Client, names: Keys) -> None:
    post.backup(hours=1)
    begun(post.records, "r1")
    dies(client, names, "r1")
    post.look()
    assert "backup lost its worker" in post.listener.texts()[0]
    assert post.listener.paths() == ["", "/fail"]


def test_a_cancelled_run_is_no_alarm(post: Post) -> None:
    post.backup(hours=1)
    post.ended("r1", "cancelled")
    assert post.look(2).get("figures")["alarms"] == []


def test_a_drill_that_failed_is_told_by_the_stores_own_verdict(post: Post) -> None:
    manifest = put_backup(post.store, NOON - timedelta(hours=1))
    pronounce(post.store, "main", manifest.id, "drilled", statement(error=BucketMissing("it lost keys")))
    assert post.look(2).get("figures")["alarms"] == ["drill"]
    assert "the last drill failed" in post.listener.texts()[0]


def test_a_store_that_is_away_for_a_moment_wakes_nobody_and_for_longer_somebody(post: Post, tmp_path: Path) -> None:
    post.backup(hours=1)
    post.look()
    away = tmp_path.rename(tmp_path.with_name("away"))
    post.look()
    away.rename(tmp_path)
    post.look(2)
    assert post.listener.texts() == []
    tmp_path.rename(away)
    record = post.look(2)
    away.rename(tmp_path)
    assert record.get("figures")["state"] == "unknown"
    assert "the store does not answer" in post.listener.texts()[0]


def test_a_store_that_is_away_does_not_make_a_new_worker_believe_that_all_is_over(
    post: Post, tmp_path: Path
) -> None:
    post.backup(hours=3)
    post.look(2)
    away = tmp_path.rename(tmp_path.with_name("away"))
    look._inventory.cache_clear()  # what a new process has
    record = post.look(4)
    away.rename(tmp_path)
    assert record.get("figures")["alarms"] == ["store"]
    assert [each.split()[1] for each in post.listener.texts()] == ["ALARM", "ALARM"]
    post.backup(minutes=1)
    post.look(2)
    assert [each.split()[1] for each in post.listener.texts()][2:] == ["RECOVERED", "RECOVERED"]


def test_what_a_webhook_did_not_take_is_told_with_the_next_look_and_the_heart_beats_all_the_same(
    post: Post, caplog: pytest.LogCaptureFixture
) -> None:
    post.listener.answers = [404, 200]
    post.backup(hours=1)
    post.ended("r1", "failed", error=BucketMissing("no bucket").as_dict())
    with pytest.raises(AlertUndelivered):
        post.look()
    record = post.records.read("look1")
    assert (record.state, record.get("error")["code"]) == ("failed", 120)
    assert SECRET not in str(dict(record.fields)) + caplog.text
    assert post.listener.paths() == ["", "/fail"]
    post.look(2)
    assert len(post.listener.texts()) == 2  # the one that was refused, and the one that was not
    assert post.listener.paths() == ["", "/fail"]


def test_what_was_told_is_told_again_where_its_memory_is_lost(post: Post, client: Client, names: Keys) -> None:
    post.backup(hours=1)
    post.ended("r1", "failed")
    post.look()
    client.delete(names.alarms("main"), names.heartbeat("main"))
    post.look()
    assert len(post.listener.texts()) == 2
    assert post.listener.paths() == ["", "/fail", "", "/fail"]


def test_two_that_look_at_one_moment_tell_once(post: Post) -> None:
    """The second finds the lease held: it waits its turn, and then there is nothing left to tell."""
    post.ended("r1", "failed")

    def both(running: Job) -> None:
        with pytest.raises(job.Again):
            post.carry("second")
        post.watch(running)

    target = post.settings.target[0]
    patient = post.settings.model_copy(update={"control": post.settings.control.model_copy(update={"patience": 0.01})})
    post.settings = patient
    job.run(both, Ticket("first", "tasks.watch", "main", by="test"), patient, target)
    post.carry("second")
    assert len(post.listener.texts()) == 1


def test_without_a_webhook_the_log_is_told(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    post.settings = post.settings.model_copy(update={"alerts": type(post.settings.alerts)()})
    post.ended("r1", "failed")
    with caplog.at_level(logging.WARNING):
        post.look(2)
    assert post.listener.taken == []
    assert caplog.text.count("ALARM main: backup failed") == 1


def test_a_slot_whose_run_is_gone_is_sent_and_told_in_the_record(post: Post) -> None:
    post.now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1, minutes=30)
    slot = f"tasks.backup/main/{post.now:%Y-%m-%dT%H}:07Z"
    post.records.queue("r1", task="tasks.backup", target="main", slot=slot, by="beat")
    assert post.records.close("r1", "deferred", {})
    record = post.look()
    assert [each.slot for each in post.sent] == record.get("figures")["again"] == [slot]

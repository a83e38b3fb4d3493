"""What happens to machines and brokers while real Celery workers are at it. Each ends as one backup.

With REDKEEP_FAULTS=1 (`make faults`) recovery is also measured at the settings that redkeep has by default.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from rig.keep import Keep, eventually
from rig.redis_servers import RedisServer
from rig.site import LASTING
from rig.wire import Wire
from rig.yard import KEYS, SHORT, SLOT, Yard, only_backup

DEFAULTS: dict[str, str] = {}
FAR = bool(os.environ.get("REDKEEP_FAULTS"))
Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def site() -> Iterator[RedisServer]:
    with RedisServer("redis7") as server:
        server.client().mset({f"key:{number}": number for number in range(KEYS)})
        yield server


@pytest.fixture
def broker() -> Iterator[RedisServer]:
    """A control Redis of the test's own, which keeps what it acknowledged."""
    with RedisServer("redis7", **LASTING) as server:
        yield server


@contextmanager
def yard_of(site: RedisServer, control_url: str, folder: Path, control: dict[str, str]) -> Iterator[Yard]:
    place = folder / uuid4().hex
    place.mkdir()
    site.client().config_resetstat()
    yard = Yard(Keep(place, site.url, control_url, data_dir=site.dir, source="follow", control=control), site)
    try:
        yield yard
    finally:
        yard.close()
        yard.slow(0)
        eventually(lambda: not yard.saving())


def at_work(yard: Yard, run_id: str) -> None:
    eventually(lambda: yard.state(run_id) == "running" and yard.saving())


# -- the broker --------------------------------------------------------------------------------------------------------


def test_a_broker_that_is_killed_and_restarted_in_mid_run_is_not_noticed_in_what_comes_of_it(
    site: RedisServer, broker: RedisServer, tmp_path: Path, record_property: Record
) -> None:
    with yard_of(site, broker.url, tmp_path, SHORT | {"lease_ttl": "3s"}) as yard:
        yard.work("a")
        yard.slow(3)
        run_id = yard.send(slot=SLOT)
        at_work(yard, run_id)
        broker.kill()
        broker.restart()
        began = time.monotonic()
        yard.slow(0)
        assert yard.ended(run_id, within=60).state == "succeeded"
        record_property("recovery", time.monotonic() - began)
        assert only_backup(yard).task_id == run_id
        eventually(lambda: yard.unacknowledged() == 0)
        assert yard.ended(yard.send(), within=60).state == "succeeded", "the worker takes the next message"


def test_a_broker_connection_that_is_cut_delivers_the_message_again_and_one_backup_comes_of_it(
    site: RedisServer, broker: RedisServer, tmp_path: Path
) -> None:
    with Wire(broker.port) as wire, yard_of(site, wire.url, tmp_path, SHORT) as yard:
        yard.work("a", "b")
        yard.slow(4)  # long enough to be seen where a machine stands still for a moment
        run_id = yard.send(slot=SLOT)
        at_work(yard, run_id)
        wire.cut_all()
        assert yard.ended(run_id).state == "succeeded"
        eventually(lambda: yard.unacknowledged() == 0)
        assert only_backup(yard).task_id == run_id


# -- the machine -------------------------------------------------------------------------------------------------------


def test_a_machine_that_stands_still_for_longer_than_every_lease_finds_its_run_taken_over(
    site: RedisServer, broker: RedisServer, tmp_path: Path
) -> None:
    with yard_of(site, broker.url, tmp_path, SHORT) as yard:
        (still,) = yard.work("a")
        yard.slow(2)
        run_id = yard.send(slot=SLOT)
        at_work(yard, run_id)
        still.signal(signal.SIGSTOP)
        eventually(lambda: yard.state(run_id) == "died")
        yard.work("b")
        yard.slow(0)
        assert yard.ended(run_id).state == "succeeded"
        still.signal(signal.SIGCONT)
        eventually(lambda: yard.unacknowledged() == 0)
        assert only_backup(yard).task_id == run_id
        assert yard.keep.record(run_id).state == "succeeded"
        assert yard.ended(yard.send()).state == "succeeded"


def test_a_worker_told_to_end_in_mid_backup_gives_its_message_back_and_another_makes_the_backup(
    site: RedisServer, broker: RedisServer, tmp_path: Path, record_property: Record
) -> None:
    """The soft shutdown of ten seconds, and the message is in its queue again."""
    with yard_of(site, broker.url, tmp_path, SHORT | {"visibility": "60s"}) as yard:
        (first,) = yard.work("a")
        yard.slow(60)
        run_id = yard.send(slot=SLOT)
        at_work(yard, run_id)
        began = time.monotonic()
        first.process.terminate()
        eventually(lambda: yard.queued() == 1, within=30)
        record_property("message back", time.monotonic() - began)
        eventually(lambda: yard.state(run_id) == "waiting")
        assert yard.keep.left() == []
        yard.stop_saving()
        yard.work("b")
        assert yard.ended(run_id).state == "succeeded"
        assert only_backup(yard).task_id == run_id


if FAR:  # it takes as long as the default visibility timeout

    @pytest.mark.timeout(480)
    def test_at_default_settings_a_killed_workers_run_is_finished_by_another(
        site: RedisServer, broker: RedisServer, tmp_path: Path, record_property: Record
    ) -> None:
        with yard_of(site, broker.url, tmp_path, DEFAULTS) as yard:
            yard.work("a", "b")
            yard.slow(20)
            run_id = yard.send(slot=SLOT)
            at_work(yard, run_id)
            (killed,) = [each for each in yard.workers if run_id in each.log]
            began = time.monotonic()
            killed.kill()
            yard.slow(0)
            assert yard.ended(run_id, within=yard.control.visibility + 60).state == "succeeded"
            record_property("recovery", time.monotonic() - began)
            assert only_backup(yard).task_id == run_id


# -- messages that redkeep never sent ----------------------------------------------------------------------------------

AHEAD = f"tasks.backup/main/{datetime.now(UTC) + timedelta(days=400):%Y-%m-%dT%H:%MZ}"
MADE_UP: dict[str, tuple[list[object], dict[str, object], str]] = {
    "another target's slot": (["main"], {"slot": "tasks.backup/other/2026-11-23T11:07Z"}, "message-invalid"),
    "a slot of next year": (["main"], {"slot": AHEAD}, "message-invalid"),
    "a slot that is a path": (["main"], {"slot": "tasks.backup/main/../../x"}, "message-invalid"),
    "a slot that is a number": (["main"], {"slot": 7}, "message-invalid"),
    "a long slot": (["main"], {"slot": "x" * 100_000}, "message-invalid"),
    "a target that is a path": (["../../etc"], {}, "unknown-target"),
    "a target that is a table": ([{"a": 1}], {}, "unknown-target"),
}


def test_messages_that_nobody_of_us_sent_fail_by_name_and_the_worker_goes_on(
    site: RedisServer, broker: RedisServer, tmp_path: Path
) -> None:
    with yard_of(site, broker.url, tmp_path, SHORT) as yard:
        yard.work("a")
        for number, (arguments, named, name) in enumerate(MADE_UP.values()):
            yard.app.send_task("tasks.backup", arguments, named, task_id=f"made-up-{number}", queue="backup")
            record = yard.ended(f"made-up-{number}")
            assert (record.state, record.get("error")["name"]) == ("failed", name)
            assert len(str(dict(record.fields))) < 2000
        told = {"by": {"a": ["x" * 100_000]}, "later": True, "dry_run": "yes"}
        yard.app.send_task("tasks.backup", ["main"], told, task_id="odd", queue="backup")
        assert yard.ended("odd").state == "succeeded", "what no task knows is left aside"
        assert len(yard.keep.record("odd").get("by")) < 200
        assert [manifest.task_id for manifest in yard.keep.manifests()] == ["odd"]

"""Everything at one moment, and as it was known last where somebody does not answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rig.installations import settings
from rig.keep import eventually
from rig.redis_servers import RedisServer
from rig.runs import begun, sent
from rig.shelves import put_backup

from tasks.control import connect
from tasks.errors import StoreUnusable
from tasks.names import Keys
from tasks.records import Records
from tasks.settings import Settings
from tasks.status import Observer, Wanted, as_json
from tasks.store import Store, open_store

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TARGETS: dict[str, dict[str, Any]] = {
    "main": {"url": "redis://:hunter2@db1:6379", "backup": {"max_age": "2h", "schedule": "7 * * * *"}},
    "other": {"backup": {"schedule": "off"}},
}


@pytest.fixture
def shelves(tmp_path: Path) -> Store:
    return open_store(tmp_path.as_uri())


@pytest.fixture
def wanted(control_server: RedisServer, namespace: str, tmp_path: Path) -> Settings:
    return settings(control_server.url, namespace=namespace, store=tmp_path.as_uri(), targets=TARGETS)


@contextmanager
def observing(wanted: Settings, now: datetime = NOON) -> Iterator[Observer]:
    with Observer(wanted, clock=lambda: now) as observer:
        yield observer


def test_a_context_has_the_targets_in_the_settings_order_then_those_only_the_store_knows(
    wanted: Settings, shelves: Store
) -> None:
    for target in ("abandoned", "main"):
        put_backup(shelves, NOON - timedelta(hours=1), target=target)
    with observing(wanted) as observer:
        context = observer.context()
    assert [(each.name, each.configured) for each in context.targets] == [
        ("main", True),
        ("other", True),
        ("abandoned", False),
    ]
    assert context.target("abandoned").stock.count == 1  # type: ignore[union-attr]


def test_freshness_goes_by_the_clock(wanted: Settings, shelves: Store) -> None:
    put_backup(shelves, NOON - timedelta(hours=1))
    states = []
    for hours in (0, 2):
        with observing(wanted, NOON + timedelta(hours=hours)) as observer:
            states.append(observer.context().target("main").freshness.state)  # type: ignore[union-attr]
    assert states == ["fresh", "stale"]


def test_the_next_runs_are_told_and_what_the_schedule_leaves_alone_is_not(wanted: Settings) -> None:
    with observing(wanted) as observer:
        main, other = observer.context().targets
    assert main.due["tasks.backup"] == NOON + timedelta(minutes=7)
    assert "tasks.backup" not in other.due


def test_what_runs_now_is_told_with_its_progress(wanted: Settings) -> None:
    client = connect(wanted.control)
    records = Records(client, wanted.control)
    begun(records, "r1")
    records.beat("r1", "n1", {"phase": "ship", "bytes": 5, "total": 10})
    sent(records, "r2")
    with observing(wanted) as observer:
        main, other = observer.context().targets
    client.close()
    assert {each.id: each.state for each in main.running} == {"r1": "running", "r2": "queued"}
    assert main.running[-1].get("progress")["bytes"] == 5
    assert other.running == ()


def test_without_the_control_redis_everything_is_as_known_last_and_the_context_says_so(
    any_redis: RedisServer, tmp_path: Path, shelves: Store
) -> None:
    put_backup(shelves, NOON)
    wanted = settings(any_redis.url, store=tmp_path.as_uri(), targets=TARGETS)
    client = connect(wanted.control)
    for run_id, target in {"r1": "main", "r2": "other"}.items():
        sent(Records(client, wanted.control), run_id, target)
    client.close()
    with observing(wanted) as observer:
        before = observer.context()
        observer.context(Wanted(target="nobody"))  # what one reader filtered is not what the next one gets
        any_redis.stop()
        after = observer.context()
        assert after.problem is not None
        assert after.problem["name"] == "control-unreachable"
        assert after.known == before.known == NOON
        assert after.runs.rows == before.runs.rows
        assert [each.id for each in observer.context(Wanted(target="other")).runs.rows] == ["r2"]
        assert after.target("main").freshness.state == "fresh"  # type: ignore[union-attr]
        any_redis.restart()
        eventually(lambda: observer.context().problem is None)


def test_without_the_store_nothing_is_known_and_nothing_fails(control_server: RedisServer, namespace: str) -> None:
    with observing(settings(control_server.url, namespace=namespace, store="file:///nowhere")) as observer:
        context = observer.context()
    (main,) = context.targets
    assert main.stock.problem is not None
    assert main.stock.problem["code"] == StoreUnusable.code
    assert context.state == "unknown"


def test_a_page_does_not_wait_for_the_store_once_it_has_been_seen(wanted: Settings, shelves: Store) -> None:
    with observing(wanted) as observer:
        assert observer.context(patient=False).target("main").stock.count == 0  # type: ignore[union-attr]
        put_backup(shelves, NOON)
        assert observer.context(patient=False).target("main").stock.count == 0  # type: ignore[union-attr]
        assert observer.context().target("main").stock.count == 1  # type: ignore[union-attr]


def test_once_a_run_has_ended_the_store_is_looked_at_again(wanted: Settings, shelves: Store) -> None:
    client = connect(wanted.control)
    records = Records(client, wanted.control)
    with observing(wanted) as observer:
        observer.context(patient=False)
        begun(records, "r1")
        put_backup(shelves, NOON)
        records.leave("r1", "n1", "succeeded", {})
        eventually(lambda: observer.context(patient=False).target("main").stock.count == 1)  # type: ignore[union-attr]
    client.close()


def test_as_json_it_has_no_secret_and_everything_a_program_needs(
    wanted: Settings, shelves: Store, control_server: RedisServer, namespace: str
) -> None:
    put_backup(shelves, NOON - timedelta(hours=3))
    client = control_server.client(decode_responses=True)
    client.hset(Keys(namespace).paused("main"), "*", "moving house")
    with observing(wanted) as observer:
        text = json.dumps(as_json(observer.context()))
    assert "hunter2" not in text
    told = json.loads(text)
    (main, _) = told["targets"]
    assert (told["at"], main["state"], main["backups"]["newest"]["id"]) == (
        "2026-11-23T12:00:00Z",
        "stale",
        "20261123T090000Z",
    )
    assert main["paused"] == {"*": "moving house"}
    assert main["due"]["tasks.backup"] == "2026-11-23T12:07:00Z"

"""What Prometheus is told: of real manifests, real records, and what somebody made up."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from rig.commands import ROOT
from rig.installations import settings
from rig.redis_servers import RedisServer
from rig.runs import begun
from rig.shelves import put_backup

from tasks import metrics
from tasks.alarms import Alarm, Alarms, course
from tasks.control import Client
from tasks.errors import DrillFailed
from tasks.metrics import METRICS, Figures
from tasks.names import Keys
from tasks.records import Records
from tasks.settings import Settings
from tasks.status import Context, Observer
from tasks.store import Store, open_store
from tasks.verdicts import pronounce, statement

NOON = datetime.now(UTC).replace(microsecond=0)
TARGETS: dict[str, dict[str, Any]] = {"main": {"url": "redis://:hunter2@db1:6379"}, "other": {}}


@pytest.fixture
def wanted(control_server: RedisServer, namespace: str, tmp_path: Path) -> Settings:
    return settings(control_server.url, namespace=namespace, store=tmp_path.as_uri(), targets=TARGETS)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path.as_uri())


@pytest.fixture
def observer(wanted: Settings) -> Iterator[Observer]:
    with Observer(wanted, clock=lambda: NOON) as made:
        yield made


def page(observer: Observer) -> str:
    registry = CollectorRegistry()
    metrics.serve(observer.context, registry)
    return generate_latest(registry).decode()


def told(observer: Observer, name: str, **labels: str) -> dict[tuple[str, ...], float]:
    """The samples of one metric that have these labels, by the others."""
    return {
        tuple(value for label, value in sample.labels.items() if label not in labels): sample.value
        for family in text_string_to_metric_families(page(observer))
        for sample in family.samples
        if sample.name == f"redkeep_{name}" and labels.items() <= sample.labels.items()
    }


def test_ages_and_sizes_come_from_the_manifests(observer: Observer, store: Store) -> None:
    put_backup(store, NOON - timedelta(hours=1), bytes=2100)
    assert told(observer, "backup_age_seconds") == {("main",): 3601.0}  # its snapshot began a second before
    assert told(observer, "freshness_objective_seconds") == {("main",): 7200.0, ("other",): 7200.0}
    assert told(observer, "backup_bytes") == {("main",): 2100.0}
    assert told(observer, "backup_compression_ratio") == {("main",): 100.0}
    assert told(observer, "state", target="main") == {("fresh",): 1, ("stale",): 0, ("broken",): 0, ("unknown",): 0}
    assert told(observer, "state", state="broken") == {("main",): 0, ("other",): 1}
    assert told(observer, "backups") == {("main",): 1, ("other",): 0}


def test_a_proof_is_as_old_as_the_last_one_that_succeeded(observer: Observer, store: Store) -> None:
    good, bad = (put_backup(store, NOON - timedelta(hours=hours)) for hours in (9, 1))
    assert told(observer, "drilled_age_seconds") == {}
    pronounce(store, "main", good.id, "drilled", statement(figures={"recovery_seconds": 4.2}))
    pronounce(store, "main", bad.id, "drilled", statement(error=DrillFailed("it lost keys")))
    assert told(observer, "drilled_good") == {("main",): 0}
    assert told(observer, "recovery_seconds") == {("main",): 4.2}
    assert 0 <= told(observer, "drilled_age_seconds")[("main",)] < 60


def test_runs_are_counted_by_how_they_ended_and_the_count_outlives_their_records(
    observer: Observer, wanted: Settings, client: Client, names: Keys
) -> None:
    records = Records(client, wanted.control)
    for number, state in enumerate(["succeeded", "succeeded", "failed", "waiting"]):
        begun(records, f"r{number}")
        assert records.leave(f"r{number}", "n1", state, {})
    assert records.close("r3", "cancelled", {})
    client.delete(*(names.run(f"r{number}") for number in range(4)))
    counted = {("succeeded",): 2, ("failed",): 1, ("cancelled",): 1}
    assert told(observer, "runs_total", target="main", task="tasks.backup") == counted
    assert set(told(observer, "run_seconds_total", target="main", task="tasks.backup")) == set(counted)
    assert 0 < client.ttl(names.tally()) <= wanted.control.history.days * 86_400


def test_what_a_run_measured_is_told_of_the_newest_that_succeeded(
    observer: Observer, wanted: Settings, client: Client
) -> None:
    records = Records(client, wanted.control)
    figures = {
        "tasks.rewrite": {"bytes_after": 1234, "fork_usec": 2500, "cow_bytes": 4096},
        "tasks.tidy": {"rules": [{"removed": 7, "bytes": 70}, {"trimmed": 3}, {"removed": 1, "bytes": 5}]},
    }
    for task, measured in figures.items():
        records.queue(task, task=task, target="main")
        records.begin(task, "n1", host="web1")
        records.leave(task, "n1", "succeeded", {"figures": measured, "phases": {"wait": 0.25}})
    assert told(observer, "aof_bytes") == {("main",): 1234}
    assert told(observer, "fork_seconds") == {("main", "tasks.rewrite"): 0.0025}
    assert told(observer, "tidied_keys") == {("main",): 8}
    assert told(observer, "tidied_bytes") == {("main",): 75}
    assert set(told(observer, "lease_wait_seconds").values()) == {0.25}


def test_what_stands_and_what_is_open_is_told(
    observer: Observer, wanted: Settings, client: Client, names: Keys
) -> None:
    records = Records(client, wanted.control)
    for run_id in ("r1", "r2"):
        records.queue(run_id, task="tasks.backup", target="main")
    client.hset(names.paused("other"), "*", "moving house")
    alarms = Alarms(client, names, "main")
    (change,) = course({}, [Alarm("backup", "it failed", certain=True)], 0.0)
    alarms.settle(change, told=True)
    assert told(observer, "open_runs", state="queued") == {("main", "tasks.backup"): 2}
    assert told(observer, "paused") == {("other", "*"): 1}
    assert told(observer, "alarm", target="main") == {("backup",): 1}


def test_without_control_redis_and_store_it_says_so_and_makes_nothing_up() -> None:
    with Observer(settings("redis://127.0.0.1:1", store="file:///nowhere", targets=TARGETS)) as observer:
        assert told(observer, "control_up") == {(): 0}
        assert told(observer, "store_up") == {("main",): 0, ("other",): 0}
        assert told(observer, "backup_age_seconds") == told(observer, "backups") == {}


@pytest.mark.parametrize("figures", [[], {"rules": "x"}, {"rules": [1, {"removed": "x"}]}, {"bytes_after": [True]}])
def test_what_somebody_made_up_in_a_record_breaks_nothing(
    observer: Observer, wanted: Settings, client: Client, figures: Any, names: Keys
) -> None:
    records = Records(client, wanted.control)
    for task in ("tasks.tidy", "tasks.rewrite", "tasks.x y\"\n"):
        records.queue(task, task=task, target="main")
        records.begin(task, "n1", host="web1")
        records.leave(task, "n1", "succeeded", {"figures": figures})
    client.hset(names.tally(), mapping={"runs a b": "1", "runs a b c": "x", "seconds a b c": "1", "x": "1"})
    assert told(observer, "control_up") == {(): 1}
    assert told(observer, "aof_bytes") == {}


def test_no_secret_is_told_and_every_metric_is_one_that_is_documented(observer: Observer, store: Store) -> None:
    put_backup(store, NOON)
    text = page(observer)
    assert "hunter2" not in text
    names = {each.removeprefix("redkeep_") for each in re.findall(r"^# TYPE (redkeep_\w+)", text, re.MULTILINE)}
    assert names <= METRICS.keys()
    documented = set(re.findall(r"^\| `redkeep_(\w+)`", (ROOT / "docs" / "alerts.md").read_text(), re.MULTILINE))
    assert documented == METRICS.keys()


def test_however_many_ask_it_is_looked_at_once_in_a_while(observer: Observer) -> None:
    looks: list[Context] = []
    now = [0.0]

    def look() -> Context:
        looks.append(observer.context())
        return looks[-1]

    figures = Figures(look, clock=lambda: now[0])
    registry = CollectorRegistry()
    registry.register(figures)  # asks nothing
    for _ in range(5):
        generate_latest(registry)
    assert len(looks) == 1
    now[0] += 10
    generate_latest(registry)
    assert len(looks) == 2


def test_the_example_rules_name_only_metrics_that_there_are() -> None:
    rules = yaml.safe_load((ROOT / "docs" / "prometheus-alerts.yml").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    assert len(expressions) >= 10
    for expression in expressions:
        named = re.findall(r"redkeep_(\w+)", expression)
        assert named, expression
        assert set(named) <= METRICS.keys(), expression
    for group in rules["groups"]:
        assert all({"alert", "annotations", "labels"} <= rule.keys() for rule in group["rules"])

"""The same picture for Prometheus, read when it asks: Flower's own ``/metrics`` serves it (docs/alerts.md).

Nothing is counted here. Ages and figures come from manifests and records, the counts of runs from the records' tally in
the control Redis; so it does not matter which process answers, nor since when.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from tasks.freshness import STATES, newest_known
from tasks.inventory import Backup, Proof
from tasks.records import Record
from tasks.status import Context, TargetStatus

__all__ = ["METRICS", "Figures", "serve"]

KEPT = 5.0
"""Seconds for which an answer is given again: however many ask, the control Redis is asked this often."""

TARGET, TASK = ("target",), ("target", "task")
METRICS: dict[str, tuple[str, tuple[str, ...]]] = {
    "state": ("1 for the state that a target is in: fresh, stale, broken or unknown.", ("target", "state")),
    "freshness_objective_seconds": ("How old the newest backup may be.", TARGET),
    "store_up": ("Whether the store answered when it was last asked.", TARGET),
    "control_up": ("Whether the control Redis answers.", ()),
    "backups": ("Backups in the store.", TARGET),
    "backup_age_seconds": ("Age of the newest backup's data.", TARGET),
    "verified_age_seconds": ("Time since a verification last succeeded.", TARGET),
    "drilled_age_seconds": ("Time since a drill last succeeded.", TARGET),
    "verified_good": ("Whether the last verification succeeded.", TARGET),
    "drilled_good": ("Whether the last drill succeeded.", TARGET),
    "recovery_seconds": ("The recovery time that the last good drill measured.", TARGET),
    "backup_bytes": ("Size of the newest backup's plain RDB.", TARGET),
    "backup_stored_bytes": ("Size of the newest backup in the store.", TARGET),
    "backup_compression_ratio": ("The first of these by the second.", TARGET),
    "backup_keys": ("Keys in the newest backup.", TARGET),
    "backup_save_seconds": ("Time the server's save took for the newest backup.", TARGET),
    "fork_seconds": ("How long the newest fork stopped the server, by the task that asked for it.", TASK),
    "cow_bytes": ("Memory that was copied while its child worked.", TASK),
    "aof_bytes": ("Size of the AOF after the last rewrite.", TARGET),
    "tidied_keys": ("Keys that the last tidy removed.", TARGET),
    "tidied_bytes": ("Bytes that it freed, estimated.", TARGET),
    "lease_wait_seconds": ("How long the newest run that succeeded waited for its lease.", TASK),
    "success_timestamp_seconds": ("When the newest run that succeeded did so.", TASK),
    "success_seconds": ("How long it took.", TASK),
    "open_runs": ("Runs that are queued, waiting or running, by state.", ("target", "task", "state")),
    "paused": ("1 for each task that the schedule must not start; * for all.", TASK),
    "alarm": ("1 for each alarm that stands (docs/alerts.md).", ("target", "kind")),
    "runs_total": ("Attempts that ended so.", ("target", "task", "outcome")),
    "run_seconds_total": ("Seconds that these took altogether.", ("target", "task", "outcome")),
}
"""Every metric without its prefix `redkeep_`: what it says, and its labels."""

Sample = tuple[str, tuple[str, ...], float | None]
"""A metric's name, the values of its labels, and its value; None for not known, which is then left out."""


class Figures(Collector):
    """
    Args:
        look: how everything stands; should not wait for a store.
    """

    def __init__(self, look: Callable[[], Context], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._look = look
        self._clock = clock
        self._asking = threading.Lock()
        self._until = -1.0
        self._told: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """Nothing is asked for a registration."""
        return []

    def collect(self) -> Iterable[Metric]:
        with self._asking:
            if self._clock() >= self._until:
                self._told = list(_families(_samples(self._look())))
                self._until = self._clock() + KEPT
            return self._told


def serve(look: Callable[[], Context], registry: CollectorRegistry = REGISTRY) -> Figures:
    """Have the process's own Prometheus page tell these as well."""
    made = Figures(look)
    registry.register(made)
    return made


def _families(samples: Iterable[Sample]) -> Iterator[Metric]:
    found: dict[str, Any] = {}
    for name, labels, value in samples:
        if value is None:
            continue
        if name not in found:
            told, titles = METRICS[name]
            kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            found[name] = kind(f"redkeep_{name}", told, labels=titles)
        found[name].add_metric(labels, value)
    return iter(found.values())


# -- what a context says -----------------------------------------------------------------------------------


def _samples(context: Context) -> Iterator[Sample]:
    yield "control_up", (), float(context.problem is None)
    for target in context.targets:
        if target.configured:
            yield from _standing(target)
            yield from _stocked(target, context.at)
            yield from _run(target)
    for about, tally in context.tally.items():
        yield "runs_total", about, tally.runs
        yield "run_seconds_total", about, tally.seconds


def _standing(target: TargetStatus) -> Iterator[Sample]:
    name = target.name
    for state in STATES:
        yield "state", (name, state), float(target.freshness.state == state)
    yield "freshness_objective_seconds", (name,), target.max_age
    if target.stock.seen or target.stock.problem:
        yield "store_up", (name,), float(target.stock.problem is None)
    for alarm in target.alarms:
        yield "alarm", (name, alarm.kind), 1.0
    for task in target.paused:
        yield "paused", (name, task), 1.0
    open_runs = Counter((name, str(each.get("task", "")), each.state) for each in target.running)
    yield from (("open_runs", about, count) for about, count in open_runs.items())


def _stocked(target: TargetStatus, now: datetime) -> Iterator[Sample]:
    stock, about = target.stock, (target.name,)
    yield "backups", about, stock.count if stock.seen else None
    verified, drilled = ([getattr(each, name) for each in stock.backups] for name in ("verified", "drilled"))
    for title, said in (("verified", verified), ("drilled", drilled)):
        last, good = _latest(said), _latest(each for each in said if each and each.ok)
        yield f"{title}_good", about, None if last is None else float(last.ok)
        yield f"{title}_age_seconds", about, None if good is None else _age(good.at, now)
        if title == "drilled" and good is not None:
            yield "recovery_seconds", about, good.seconds
    if (newest := newest_known(stock, now)) is not None:
        yield from _newest(about, newest, now)


def _newest(about: tuple[str], newest: Backup, now: datetime) -> Iterator[Sample]:
    yield "backup_age_seconds", about, _age(newest.taken, now)
    yield "backup_bytes", about, newest.bytes
    yield "backup_stored_bytes", about, newest.stored_bytes
    if newest.bytes and newest.stored_bytes:
        yield "backup_compression_ratio", about, newest.bytes / newest.stored_bytes
    yield "backup_keys", about, newest.keys
    yield "backup_save_seconds", about, newest.seconds
    yield "fork_seconds", (*about, "tasks.backup"), None if newest.fork_usec is None else newest.fork_usec / 1e6
    yield "cow_bytes", (*about, "tasks.backup"), newest.cow_bytes


def _latest(proofs: Iterable[Proof | None]) -> Proof | None:
    return max((each for each in proofs if each is not None), key=lambda each: each.at, default=None)


def _age(moment: datetime, now: datetime) -> float:
    return max((now - moment).total_seconds(), 0.0)


def _run(target: TargetStatus) -> Iterator[Sample]:
    for task, run in target.done.items():
        about, started, ended = (target.name, task), run.moment("started"), run.moment("ended")
        yield "success_timestamp_seconds", about, ended.timestamp() if ended else None
        yield "success_seconds", about, (ended - started).total_seconds() if started and ended else None
        yield "lease_wait_seconds", about, _number(run.get("phases"), "wait")
        if task != "tasks.backup":  # whose figures its manifest has
            fork = _number(run.get("figures"), "fork_usec")
            yield "fork_seconds", about, None if fork is None else fork / 1e6
            yield "cow_bytes", about, _number(run.get("figures"), "cow_bytes")
    if rewrite := target.done.get("tasks.rewrite"):
        yield "aof_bytes", (target.name,), _number(rewrite.get("figures"), "bytes_after")
    if tidy := target.done.get("tasks.tidy"):
        yield from _tidied(target.name, tidy)


def _tidied(name: str, run: Record) -> Iterator[Sample]:
    rules = (run.get("figures") or {}).get("rules")
    if isinstance(rules, list) and not (run.get("figures") or {}).get("dry_run"):
        told = [each for each in rules if isinstance(each, dict)]
        yield "tidied_keys", (name,), sum(_number(each, "removed") or 0.0 for each in told)
        yield "tidied_bytes", (name,), sum(_number(each, "bytes") or 0.0 for each in told)


def _number(figures: Mapping[str, Any] | None, name: str) -> float | None:
    """What somebody else wrote into a record may be anything."""
    found = (figures or {}).get(name)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None

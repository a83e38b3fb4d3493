"""One look at a target: what the store has of it, and how its last runs ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from tasks.control import Client
from tasks.freshness import Finding, findings
from tasks.inventory import Inventory, Stock
from tasks.names import ROUTINE
from tasks.records import Record, Records
from tasks.schedule import schedules_of
from tasks.settings import Settings, Target
from tasks.store import open_store

__all__ = ["Seen", "look"]

NEWEST = 20
"""Runs of each task that are looked at, the newest."""


@dataclass(frozen=True)
class Seen:
    """What one look found.

    Attributes:
        schedules: crontab by task, of those that tell how the target is doing.
        runs: their newest records by task, newest first.
    """

    now: datetime
    stock: Stock
    findings: Sequence[Finding]
    schedules: Mapping[str, str]
    runs: Mapping[str, Sequence[Record]]


def look(client: Client, settings: Settings, target: Target, now: datetime) -> Seen:
    """The store's side never fails: that it does not answer is a finding."""
    schedules = {task: line for task, line in schedules_of(settings, target).items() if task not in ROUTINE}
    stock = _inventory(tuple(sorted(settings.store.arguments().items()))).look([target.name])[target.name]
    found = findings(stock, max_age=target.backup.max_age, scheduled="tasks.backup" in schedules, now=now)
    records = Records(client, settings.control)
    runs = {task: records.newest(target.name, task, limit=NEWEST) for task in schedules}
    return Seen(now, stock, found, schedules, runs)


@lru_cache(maxsize=2)
def _inventory(arguments: tuple[tuple[str, Any], ...]) -> Inventory:
    """A worker's own: it lists the store at each look and reads only what is new in it."""
    return Inventory(open_store(**dict(arguments)))

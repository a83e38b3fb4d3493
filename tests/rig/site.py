"""One installation on a control Redis, and tiny pieces of work, for the tests of the frame."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tasks import job
from tasks.control import Client
from tasks.job import Job, Ticket, Work
from tasks.names import Keys
from tasks.records import Record, Records
from tasks.settings import Settings, target_of

SLOT = "tasks.backup/main/2026-11-23T11:07Z"
TARGETS: dict[str, dict[str, Any]] = {
    "main": {"host": "db1"},
    "twin": {"host": "db1"},
    "far": {},
}
LASTING = {"appendonly": "yes", "appendfsync": "always"}
WITHIN = 20.0
"""Seconds after which a test says that something hangs."""


@dataclass
class Site:
    """One installation, and what a test asks of it."""

    settings: Settings
    client: Client

    @property
    def names(self) -> Keys:
        return Keys(self.settings.control.namespace)

    @property
    def records(self) -> Records:
        return Records(self.client, self.settings.control)

    def run(
        self,
        work: Work,
        run_id: str = "r1",
        *,
        target: str = "main",
        slot: str | None = None,
        task: str = "tasks.backup",
    ) -> dict[str, Any]:
        ticket = Ticket(run_id, task, target, slot=slot, by="test")
        return job.run(work, ticket, self.settings, target_of(self.settings, target))

    def read(self, run_id: str = "r1") -> Record:
        return self.records.read(run_id)

    def raw(self, run_id: str = "r1") -> dict[str, str]:
        found: dict[str, str] = self.client.hgetall(self.names.run(run_id))
        return found

    def lease(self, resource: str = "target:main") -> str:
        return self.names.lease(resource)

    def held(self) -> list[str]:
        return sorted(self.client.scan_iter(f"{self.settings.control.namespace}:lease:*"))

    def dies(self, run_id: str = "r1", *resources: str) -> None:
        """What happens to the keys of a worker that was killed, after their time to live."""
        keys = [self.lease(each) for each in resources or ("target:main", "host:db1")]
        self.client.delete(self.names.alive(run_id), self.names.slot(SLOT), *keys)


def nothing(running: Job) -> None:
    """Work that is done at once."""


def figures(running: Job) -> None:
    with running.phase("ship"):
        running.figures["bytes"] = 7


def raising(error: BaseException) -> Work:
    def work(running: Job) -> None:
        raise error

    return work


def until_stopped(running: Job) -> None:
    """Work that never ends by itself and passes a checkpoint every few milliseconds."""
    end = time.monotonic() + WITHIN
    while time.monotonic() < end:
        running.checkpoint()
        time.sleep(0.002)
    raise AssertionError("nobody stopped it")


def after(first: Callable[[], object], then: Work) -> Work:
    def work(running: Job) -> None:
        first()
        then(running)

    return work


def until(holds: Callable[[], object]) -> None:
    """Wait for a fact; never for a time."""
    end = time.monotonic() + WITHIN
    while not holds():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.002)



"""What a message asks for, and what the frame hands to a verb."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tasks import lease as leases
from tasks.errors import (
    RedkeepError,
)

__all__ = ["Again", "Job", "Ticket", "Work"]


class Again(Exception):
    """The run cannot go on now; its message is to be sent again after `delay` seconds."""

    def __init__(self, delay: float, reason: str) -> None:
        super().__init__(reason)
        self.delay = delay


@dataclass(frozen=True)
class Ticket:
    """What a message asks for.

    Attributes:
        run_id: the Celery task id. A redelivered message has the same, and so the same record.
        slot: the slot's name where the schedule sent it.
        by: who started it, for the record.
        options: what was asked for beside the target, by the name of the task's keyword argument.
        keep_message: tells the broker that the message is still being worked on; called at least every minute.
    """

    run_id: str
    task: str
    target: str
    slot: str | None = None
    by: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    keep_message: Callable[[], None] = lambda: None

    @property
    def dry_run(self) -> bool:
        """Only say what would be done."""
        return bool(self.options.get("dry_run", False))

    @property
    def backup(self) -> str:
        """The id of the backup that is meant, where it is not the newest."""
        return str(self.options.get("backup", "latest"))


@dataclass
class Job:
    """What the frame hands to a verb: a way to report, and to learn that it must stop.

    Attributes:
        nonce: this attempt's own name.
        created: when the run was first sent; the same for every attempt.
        fence: of the lease; rises from holder to holder.
        leftover: object key that an earlier attempt was writing when it died, or nothing.
        phases: seconds by name. figures, warnings: for the record and the result.
        progress: what a reader sees while it runs; a new dict each time, another thread reads it.
    """

    ticket: Ticket
    nonce: str
    created: datetime = field(default_factory=lambda: datetime.now(UTC))
    writes: Callable[[str], None] = lambda key: None
    """To be told the key of an object before its first byte is sent, so that the next attempt finds it."""
    leftover: str = ""
    lease: leases.Lease | None = None
    phases: dict[str, float] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    progress: dict[str, Any] = field(default_factory=dict)
    stop: RedkeepError | None = None
    wanted: str = ""
    """The run that waits for our lease; looked for only where this one gives way."""

    @property
    def fence(self) -> int:
        return self.lease.fence if self.lease else 0

    def checkpoint(self) -> None:
        """Raise where the run must stop: cancelled, or the lease lost. Cheap; call it for every chunk."""
        if self.stop is not None:
            raise self.stop
        if self.lease is not None:
            self.lease.check()

    def prove(self) -> None:
        """The same, asked of the control Redis itself; the last step before a commit."""
        self.checkpoint()
        if self.lease is not None:
            self.lease.renew()

    def warn(self, text: str) -> None:
        """Something the run survived and its reader should know."""
        if text and text not in self.warnings:
            self.warnings.append(text)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Name what goes on; its seconds are recorded."""
        self.checkpoint()
        began = time.monotonic()
        self.progress = {"phase": name}
        try:
            yield
        finally:
            self.phases[name] = round(self.phases.get(name, 0.0) + time.monotonic() - began, 3)


Work = Callable[[Job], None]
"""A verb, ready to go: fills the job's figures, or raises."""

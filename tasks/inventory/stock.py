"""What is kept of a store: a target's backups, and what was said of their worth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

__all__ = ["Backup", "Proof", "Stock", "latest"]


@dataclass(frozen=True, slots=True)
class Proof:
    """One statement on a backup's worth.

    Attributes:
        backup: whose id.
        error, hint: why not, where it is not `ok`.
        seconds: the recovery time that a drill measured.
    """

    at: datetime
    ok: bool
    backup: str
    error: str = ""
    hint: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Backup:
    """What is kept of one manifest and its verdict.

    Attributes:
        taken: when its data was current, UTC: the start of the snapshot. For one that cannot be read, as its id says.
        problem: why the manifest cannot be read; then every figure is None.
        fork_usec: microseconds the fork took. seconds: the server's save. The others are bytes, or keys of all
            databases.
    """

    id: str
    taken: datetime
    problem: str = ""
    bytes: int | None = None
    stored_bytes: int | None = None
    keys: int | None = None
    fork_usec: int | None = None
    cow_bytes: int | None = None
    seconds: float | None = None
    source: str = ""
    server: str = ""
    task_id: str = ""
    held: bool = False
    verified: Proof | None = None
    drilled: Proof | None = None


@dataclass(frozen=True)
class Stock:
    """A target's backups as the store has them.

    Attributes:
        backups: oldest first, the newest `KEPT` of them.
        count: all there are.
        seen: when the store was last listed; None for never.
        problem: why the last look failed (an error as a record has it); `backups` are as last known then.
    """

    target: str
    backups: tuple[Backup, ...] = ()
    count: int = 0
    seen: datetime | None = None
    problem: dict[str, Any] | None = None

    @property
    def newest(self) -> Backup | None:
        """The newest whose manifest can be read."""
        return max((each for each in self.backups if not each.problem), key=lambda each: each.taken, default=None)

    @property
    def verified(self) -> Proof | None:
        """The latest verification, however it went."""
        return latest(each.verified for each in self.backups)

    @property
    def drilled(self) -> Proof | None:
        """The latest drill, however it went."""
        return latest(each.drilled for each in self.backups)


def latest(proofs: Iterable[Proof | None]) -> Proof | None:
    return max((each for each in proofs if each is not None), key=lambda each: each.at, default=None)

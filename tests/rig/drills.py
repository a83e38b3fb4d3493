"""Drills of an installation's newest backup, through the job frame as a worker does them."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig.keep import Keep
from rig.redis_servers import binary
from tasks import job
from tasks.catalog import LATEST
from tasks.drill import drill
from tasks.errors import RedkeepError
from tasks.job import Again, Job, Ticket
from tasks.records import Record
from tasks.settings import Drill, Settings, Target
from tasks.verdicts import Statement, Verdict

__all__ = ["Drilled", "drilled", "drilling", "verdict_on"]


@dataclass(frozen=True)
class Drilled:
    """How a drill ended."""

    error: RedkeepError | None
    record: Record

    @property
    def figures(self) -> dict[str, Any]:
        return dict(self.record.get("figures", {}))

    @property
    def warnings(self) -> list[str]:
        return list(self.record.get("warnings", []))


def drilling(keep: Keep, flavour: str = "redis7", **wanted: Any) -> tuple[Settings, Target]:
    """The installation's settings on a host that has the identity and a server of that flavour."""
    files = [keep.folder / f"identity{number}.txt" for number in range(len(keep.identities))]
    encryption = keep.settings.encryption.model_copy(
        update={"identity_files": files, "trusted_signers": [keep.signer]}
    )
    target = keep.target.model_copy(
        update={"drill": Drill.model_validate({"redis_server": binary(flavour)} | wanted)}
    )
    return keep.settings.model_copy(update={"encryption": encryption, "target": [target]}), target


def drilled(keep: Keep, flavour: str = "redis7", backup: str = LATEST, **wanted: Any) -> Drilled:
    """Drill, in this thread: it has to be the main one, the server dies with the thread that starts it."""
    settings, target = drilling(keep, flavour, **wanted)
    ticket = Ticket(str(uuid.uuid4()), "tasks.drill", "main", by="test", options={"backup": backup})

    def work(running: Job) -> None:
        drill(running, settings, target)

    error: RedkeepError | None = None
    try:
        job.run(work, ticket, settings, target)
    except Again as again:
        if not isinstance(again.__cause__, RedkeepError):
            raise
        error = again.__cause__
    except RedkeepError as raised:
        error = raised
    return Drilled(error, keep.record(ticket.run_id))


def verdict_on(keep: Keep, backup_id: str) -> Statement | None:
    """What the last drill said of that backup."""
    key = f"main/verdicts/{backup_id}.json"
    return Verdict.read(keep.store.read(key)).drilled if keep.store.head(key) else None


def run_here(config: str, folder: str) -> None:
    """A drill in a process of its own, which a test may kill; its private folder is made in `folder`."""
    import tempfile

    from tasks import settings

    tempfile.tempdir = folder
    loaded = settings.load(Path(config))
    ticket = Ticket(str(uuid.uuid4()), "tasks.drill", "main", by="test")
    target = settings.target_of(loaded, "main")
    job.run(lambda running: drill(running, loaded, target), ticket, loaded, target)

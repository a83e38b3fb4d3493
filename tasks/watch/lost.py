"""Slots whose run is gone and that nobody committed: sent once more, while their time is not over. Pure.

The broker gives a dead worker's message to the next one, and a run that was put off may find its time later; this is
for where that did not help. A slot that was never sent is beat's own business: it catches up by itself.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from celery.schedules import crontab

from tasks.names import ROUTINE, slot_name
from tasks.records import Record
from tasks.schedule import last_due, next_due

__all__ = ["Lost", "lost"]

GONE = frozenset({"died", "deferred"})


@dataclass(frozen=True)
class Lost:
    """A slot to be sent once more.

    Attributes:
        run_id: made of the slot, so however many look, they send one run; and one that was sent is not sent again.
        expires: seconds until the slot's time is over.
    """

    task: str
    slot: str
    run_id: str
    expires: float


def lost(
    target: str,
    schedules: Mapping[str, str],
    runs: Mapping[str, Sequence[Record]],
    now: datetime,
    *,
    quiet: float,
) -> Iterator[Lost]:
    """
    Args:
        schedules: crontab by task. runs: the newest records by task.
        quiet: seconds after which nothing more is to be expected from a run that died: by then the broker would have
            delivered its message again.
    """
    for task, line in schedules.items():
        if task in ROUTINE:
            continue
        schedule = crontab.from_string(line)
        slot = slot_name(task, target, last_due(schedule, now))
        ours = [each for each in runs.get(task, ()) if each.get("slot") == slot]
        run_id = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{slot} again"))
        due = next_due(schedule, now)
        if due and ours and all(_gone(each, now, quiet) for each in ours) and run_id not in {each.id for each in ours}:
            yield Lost(task, slot, run_id, (due - now).total_seconds())


def _gone(record: Record, now: datetime, quiet: float) -> bool:
    left = record.moment("ended") or record.moment("started")
    return record.state in GONE and left is not None and now - left > timedelta(seconds=quiet)

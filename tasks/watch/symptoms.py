"""What is wrong with a target: by its findings, and by how its last runs ended. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from tasks.alarms import Alarm
from tasks.freshness import Finding
from tasks.names import queue_of
from tasks.records import Record
from tasks.words import age

__all__ = ["ended", "symptoms", "unseen"]

TAKEN_WITHIN = timedelta(hours=1)
"""How long a run may be queued before it is asked whether any worker takes from its queue."""
WORDS = 500
"""Characters of an error that an alarm repeats; the record has all of them."""
ENDS = ("succeeded", "failed", "died", "deferred")
"""Ends that say how a task is doing. A run that somebody cancelled, or that had nothing to do, says nothing."""
HINTS = {
    "age": "See what holds the backups up: `redkeep status`, `redkeep history`; start one with `redkeep run backup`.",
    "missing": "Take one with `redkeep run backup`; were there any before, look after the store at once.",
    "verify": "Do not count on that backup: take another one now, and look after the store.",
    "drill": "Do not count on that backup: take another one now, and read in the drill's record what was wrong.",
    "store": "Until it answers nobody knows what is safe there; `redkeep check` tries it piece by piece.",
    "clock": "Compare the clocks of the workers' hosts with each other.",
}
"""What to do about a finding, by its kind; of any other kind it is no alarm."""
CERTAIN = frozenset({"verify", "drill"})
"""Kinds of findings that are facts: the store has it in writing."""
STORES = frozenset(HINTS) - {"store"}
"""Kinds that only a store that answers can tell of."""


def symptoms(
    findings: Sequence[Finding], runs: Mapping[str, Sequence[Record]], now: datetime, *, worker: str | None = None
) -> list[Alarm]:
    """Everything that is wrong now; of one kind the first is the one that counts.

    Args:
        runs: the newest records of each task, newest first; tasks that the schedule does not start are left out.
        worker: the target's own, for the queues' names.
    """
    wrong = [each for each in findings if each.state != "fresh" and each.kind in HINTS]
    found = [Alarm(each.kind, each.words, HINTS[each.kind], each.kind in CERTAIN) for each in wrong]
    for task, records in runs.items():
        kind = task.removeprefix("tasks.")
        found += _badly_ended(kind, ended(records))
        found += _untaken(kind, records, queue_of(task, worker), now)
    return found


def unseen(runs: Mapping[str, Sequence[Record]], *, store: bool) -> frozenset[str]:
    """The kinds of alarms that nobody can say of whether they are over: those of the store, where it has not been seen;
    those of a task whose newest runs all say nothing, as while it is paused."""
    silent = {task.removeprefix("tasks.") for task, records in runs.items() if records and not ended(records)}
    silent |= {"drift"} if "enforce" in silent else set()
    return frozenset(silent) | (frozenset() if store else STORES)


def ended(records: Sequence[Record]) -> list[Record]:
    """Those that say how the task is doing, newest first."""
    return [each for each in records if each.state in ENDS]


def _badly_ended(kind: str, records: Sequence[Record]) -> Iterator[Alarm]:
    states = [each.state for each in records[:2]]
    if not states:
        return
    last = records[0]
    hint = (last.get("error") or {}).get("hint") or f"See `redkeep show {last.id[:8]}`."
    if states[0] in ("failed", "died"):
        verb = "failed" if states[0] == "failed" else "lost its worker"
        yield Alarm(kind, f"{kind} {verb}, run {last.id[:8]}{_reason(last)}", hint, certain=True)
    elif states == ["deferred", "deferred"]:  # once is what a guard is for
        words = f"{kind} was put off twice in a row, last run {last.id[:8]}{_reason(last)}"
        yield Alarm(kind, words, hint, certain=True)
    elif kind == "enforce" and (changed := (last.get("figures") or {}).get("drift")):
        words = f"somebody changed settings that were right: {', '.join(map(str, changed))}"
        yield Alarm("drift", words[:WORDS], f"See `redkeep show {last.id[:8]}`.", certain=True)


def _untaken(kind: str, records: Sequence[Record], queue: str, now: datetime) -> Iterator[Alarm]:
    """A worker that is not there says nothing; the run that it does not take does."""
    waiting = [each for each in records if each.state == "queued" and _waits(each, now)]
    if waiting and not any(each.state == "running" for each in records):
        oldest = waiting[-1]
        words = f"{kind} was sent {age(oldest.moment('created'), now)} and nobody has taken it from queue {queue}"
        yield Alarm(f"{kind} queue", words, f"Start a worker with `redkeep worker {queue}`, or one more.")


def _waits(record: Record, now: datetime) -> bool:
    sent = record.moment("created")
    return sent is not None and now - sent > TAKEN_WITHIN


def _reason(record: Record) -> str:
    message = str((record.get("error") or {}).get("message", ""))
    return f": {message[:WORDS]}" if message else ""

"""Run records: one hash per run in the control Redis, an index per target and task, and a key that beats.

A record is `queued`, `waiting` or `running` and ends as exactly one of `succeeded`, `failed`, `skipped`,
`deferred`, `cancelled`, `died`. A running record whose beat has stopped reads as `died`; the message's redelivery
may still bring that run to another end, and then the record tells of each attempt.

Every change is one Lua call, so that two workers with the same message cannot both own the record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.control import Client, speaking
from tasks.errors import RunUnknown
from tasks.names import ROUTINE, Keys, is_target
from tasks.records import scripts
from tasks.records.record import FINAL, Record, flat, parsed
from tasks.settings import Control

__all__ = ["FINAL", "ROUTINE_RUNS", "Beaten", "Record", "Records"]

OPEN = ("queued", "waiting", "running")
ROUTINE_RUNS = 50
"""Records kept of a task that comes every few minutes: the last hours."""
LONGEST = 160
"""Characters of a word that a message brings; ours are shorter."""
NO_TARGET = "?"
"""The index of runs whose message names no possible target."""


@dataclass(frozen=True)
class Beaten:
    """What a beat learned: whether the run is still ours, and whether somebody asked for its end."""

    ours: bool
    cancelled: bool


class Records:
    """All the records of one installation."""

    def __init__(self, client: Client, control: Control) -> None:
        self._client = client
        self._names = Keys(control.namespace)
        self._history = control.history
        self._kept = str(control.history.days * 86_400)
        self._beat_ttl = str(int(control.lease_ttl * 1000))

    # -- a run's life --------------------------------------------------------------------------------------

    def queue(self, run_id: str, *, task: str, target: str, slot: str | None = None, by: str = "") -> bool:
        """Note that a run was sent. False, and nothing changes, where its record is already there."""
        facts = {"id": run_id, "task": task, "target": target[:64], "slot": (slot or "")[:LONGEST], "by": by[:LONGEST]}
        index = self._names.runs(target if is_target(target) else NO_TARGET, task)
        with speaking(self._client):
            keys = (self._names.run(run_id), index, self._names.indexes())
            new = bool(self._client.eval(scripts.QUEUE, 3, *keys, run_id, self._kept, *flat(facts)))
            if new:
                prefixes = (self._names.run(""), self._names.alive(""))
                kept = min(self._history.runs, ROUTINE_RUNS) if task in ROUTINE else self._history.runs
                self._client.eval(scripts.PRUNE, 1, index, str(kept), self._kept, *prefixes)
        return new

    def begin(self, run_id: str, nonce: str, *, host: str) -> tuple[str, str]:
        """Become the attempt that owns the run.

        Returns:
            ``("go", "")``, or ``("go", "died")`` where an earlier attempt left without a word;
            ``("busy", nonce)`` where another attempt is alive; ``("final", state)`` where it has ended.
        """
        answer = self._call(scripts.BEGIN, run_id, nonce, self._beat_ttl, self._kept, *flat({"host": host}))
        return str(answer[0]), str(answer[1])

    def beat(self, run_id: str, nonce: str, progress: Mapping[str, Any]) -> Beaten:
        """Say that the attempt lives, and how far it is."""
        said = self._call(scripts.BEAT, run_id, nonce, self._beat_ttl, json.dumps(progress))
        return Beaten(ours=said != "lost", cancelled=said == "cancel")

    def leave(
        self, run_id: str, nonce: str, state: str, fields: Mapping[str, Any], *, failed_try: bool = False
    ) -> bool:
        """End the attempt as `waiting` or one of `FINAL`. False where the run is no longer ours."""
        return bool(self._call(scripts.LEAVE, run_id, nonce, state, "1" if failed_try else "0", *flat(fields)))

    def note(self, run_id: str, name: str, value: str) -> None:
        """Write one field at once, for whoever comes after us; nothing where the record is gone."""
        self._call(scripts.NOTE, run_id, name, value)

    def patience_spent(self, run_id: str) -> tuple[int, float]:
        """How often the run failed or died and was tried again, and for how many seconds it has been waiting."""
        with speaking(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.hmget(self._names.run(run_id), "tries", "waiting_since")
            pipe.time()
            (tries, since), (seconds, micro) = pipe.execute()
        now = seconds + micro / 1e6
        return int(tries or 0), now - float(since or now)

    def close(self, run_id: str, state: str, error: Mapping[str, Any], *, when: tuple[str, ...] = OPEN) -> bool:
        """End a run from outside, if it is in one of those states. False where it is not."""
        return bool(self._call(scripts.CLOSE, run_id, state, "error", json.dumps(error), *when))

    def ask_to_cancel(self, run_id: str) -> None:
        """The attempt at work, or the next one, will see it."""
        self.note(run_id, "cancel", "1")

    # -- reading -------------------------------------------------------------------------------------------

    def exists(self, run_id: str) -> bool:
        with speaking(self._client):
            return bool(self._client.exists(self._names.run(run_id)))

    def read(self, run_id: str) -> Record:
        """
        Raises:
            RunUnknown: there is no such record (any more).
        """
        found = self.read_many([run_id])
        if not found:
            raise RunUnknown(f"no run {run_id[:64]!r}")
        return found[0]

    def find(self, beginning: str) -> Record:
        """The run whose id begins so.

        Raises:
            RunUnknown: none does, or several do.
        """
        with speaking(self._client):
            if self._client.exists(self._names.run(beginning)):
                return self.read(beginning)
            ids = [each for index in self._indexes() for each in self._client.zrange(index, 0, -1)]
        fitting = sorted({each for each in ids if each.startswith(beginning)})
        if len(fitting) != 1:
            raise RunUnknown(f"{len(fitting) or 'no'} runs begin with {beginning[:64]!r}")
        return self.read(fitting[0])

    def newest(self, target: str | None = None, task: str | None = None, *, limit: int = 20) -> list[Record]:
        """Records by the time they were sent, newest first; those of `ROUTINE` tasks only where they are asked for."""
        with speaking(self._client):
            indexes = [index for index in self._indexes() if self._chosen(index, target, task)]
            with self._client.pipeline(transaction=False) as pipe:
                for index in indexes:
                    pipe.zrevrange(index, 0, limit - 1, withscores=True)
                pairs = [pair for answer in pipe.execute() for pair in answer]
        pairs.sort(key=lambda pair: -pair[1])
        return self.read_many([run_id for run_id, _ in pairs[:limit]])

    def _chosen(self, index: str, target: str | None, task: str | None) -> bool:
        own_target, own_task = self._names.indexed(index)
        return target in (None, own_target) and (own_task == task or (task is None and own_task not in ROUTINE))

    def _indexes(self) -> list[str]:
        return sorted(self._client.zrange(self._names.indexes(), 0, -1))

    def read_many(self, ids: Sequence[str]) -> list[Record]:
        """Those of these runs that there are, in one round trip."""
        # In one transaction: between the two answers the run must not end, or it would look dead.
        with speaking(self._client), self._client.pipeline(transaction=True) as pipe:
            for run_id in ids:
                pipe.hgetall(self._names.run(run_id))
                pipe.get(self._names.alive(run_id))
            answers = iter(pipe.execute())
        pairs = zip(ids, _twos(answers), strict=True)
        return [parsed(run_id, fields, alive) for run_id, (fields, alive) in pairs if fields]

    # -- plumbing ------------------------------------------------------------------------------------------

    def _call(self, script: str, run_id: str, *arguments: str) -> Any:
        keys = (self._names.run(run_id), self._names.alive(run_id), self._names.tally())
        with speaking(self._client):
            return self._client.eval(script, 3, *keys, *arguments)


def _twos(answers: Iterator[Any]) -> Iterator[tuple[Any, Any]]:
    return zip(answers, answers, strict=True)

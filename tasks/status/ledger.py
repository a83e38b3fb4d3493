"""What the control Redis says of all targets: four round trips, however many there are and however much has run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tasks.alarms import Standing, parsed
from tasks.control import Client, speaking
from tasks.names import ROUTINE, Keys
from tasks.records import Record, Records
from tasks.settings import Control, Target
from tasks.status.picture import OPEN, RunPage, Tally, Wanted

__all__ = ["Ledger", "Page"]

HEADS = 3
"""Newest runs of each target and task that a card is made from."""
SEARCHED = 500
"""Runs that are looked through for an outcome, which no index knows."""

Index = tuple[str, str]
"""A target and a task: each pair has an index of its runs."""


@dataclass(frozen=True)
class Page:
    """What the control Redis said.

    Attributes:
        heads: of each target and task the newest run, and of the few before it those that are still to end and the
            newest that succeeded; newest first.
        leases: the holder's words by resource, as :func:`tasks.names.resources_of` names them.
        paused: by target, then by task.
        alarms: those that stand, by target.
        tally: by target, task and outcome.
    """

    heads: Mapping[Index, Sequence[Record]] = field(default_factory=dict)
    leases: Mapping[str, str] = field(default_factory=dict)
    paused: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    alarms: Mapping[str, Sequence[Standing]] = field(default_factory=dict)
    tally: Mapping[tuple[str, str, str], Tally] = field(default_factory=dict)
    runs: RunPage = field(default_factory=RunPage)


@dataclass(frozen=True)
class _Found:
    """Runs among which the wanted ones are, newest first; `rest` is where there are more, 0 where there are none."""

    runs: list[tuple[str, float]]
    rest: float


class Ledger:
    """Reads only; several threads may use it, as they may the client."""

    def __init__(self, client: Client, control: Control) -> None:
        self._client = client
        self._names = Keys(control.namespace)
        self._records = Records(client, control)

    def read(self, targets: Sequence[Target], wanted: Wanted) -> Page:
        """
        Raises:
            ControlUnreachable: it did not answer.
        """
        indexes, page = self._standing(targets)
        heads, found = self._ids(indexes, wanted)
        searched = [run_id for run_id, _ in found.runs] if wanted.outcome else []
        states = self._states([*searched, *(run_id for ids in heads.values() for run_id in ids)])
        chosen = {index: _shown(ids, states) for index, ids in heads.items()}
        rows, older = _rows(found, states, wanted)
        wanted_ids = dict.fromkeys([*rows, *(run_id for ids in chosen.values() for run_id in ids)])
        records = {each.id: each for each in self._records.read_many(list(wanted_ids))}
        fitting = [records[each] for each in rows if each in records]
        if wanted.outcome:  # one that is recorded as running may have died
            fitting = [each for each in fitting if each.state == wanted.outcome]
        return replace(
            page,
            heads={index: [records[each] for each in ids if each in records] for index, ids in chosen.items()},
            runs=RunPage(tuple(fitting), older, len(found.runs)),
        )

    # -- three of the four trips; the last is Records.read_many -------------------------------------------------

    def _standing(self, targets: Sequence[Target]) -> tuple[list[str], Page]:
        """The indexes there are, those that grew last first; and a page without its runs."""
        resources = [f"target:{each.name}" for each in targets]
        resources += sorted({f"host:{each.host}" for each in targets if each.host})
        with speaking(self._client), self._client.pipeline(transaction=False) as pipe:
            pipe.zrevrange(self._names.indexes(), 0, -1)
            pipe.hgetall(self._names.tally())
            for resource in resources:
                pipe.hget(self._names.lease(resource), "holder")
            for target in targets:
                pipe.hgetall(self._names.paused(target.name))
                pipe.hgetall(self._names.alarms(target.name))
            indexes, tally, *answers = pipe.execute()
        holders, told = answers[: len(resources)], answers[len(resources) :]
        return indexes, Page(
            leases={resource: str(holder) for resource, holder in zip(resources, holders, strict=True) if holder},
            paused={target.name: paused for target, paused in zip(targets, told[::2], strict=True) if paused},
            alarms={target.name: _by_age(alarms) for target, alarms in zip(targets, told[1::2], strict=True)},
            tally=_counted(tally),
        )

    def _ids(self, indexes: Sequence[str], wanted: Wanted) -> tuple[dict[Index, list[str]], _Found]:
        """The newest few ids of each index, and those among which the wanted ones are."""
        searched = self._searched(indexes, wanted)
        count = max(wanted.limit + 1, SEARCHED // max(len(searched), 1))
        newest = f"({wanted.before!r}" if wanted.before else "+inf"
        with speaking(self._client), self._client.pipeline(transaction=False) as pipe:
            for index in indexes:
                pipe.zrevrange(index, 0, HEADS - 1)
            for index in searched:
                pipe.zrevrangebyscore(index, newest, "-inf", start=0, num=count, withscores=True)
            answers = pipe.execute()
        heads = {self._names.indexed(index): ids for index, ids in zip(indexes, answers, strict=False)}
        return heads, _merged(answers[len(indexes) :], count, SEARCHED if wanted.outcome else wanted.limit)

    def _searched(self, indexes: Sequence[str], wanted: Wanted) -> Sequence[str]:
        fitting = [each for each in indexes if _fits(self._names.indexed(each), wanted)]
        # The newest so many runs are in the so many indexes that grew last.
        return fitting if wanted.before or wanted.outcome else fitting[: wanted.limit + 1]

    def _states(self, ids: Iterable[str]) -> dict[str, str]:
        unique = list(dict.fromkeys(ids))
        with speaking(self._client), self._client.pipeline(transaction=False) as pipe:
            for run_id in unique:
                pipe.hget(self._names.run(run_id), "state")
            return {run_id: state or "" for run_id, state in zip(unique, pipe.execute(), strict=True)}


def _counted(fields: Mapping[str, str]) -> dict[tuple[str, str, str], Tally]:
    """Of what cannot be read, nothing: the tally is a count, and no record depends on it."""
    found = {}
    for name, runs in fields.items():
        kind, *about = name.split(" ")
        if kind == "runs" and len(about) == 3 and runs.isdecimal():
            found[about[0], about[1], about[2]] = Tally(int(runs), _number(fields.get(f"seconds {' '.join(about)}")))
    return found


def _number(text: str | None) -> float:
    try:
        return float(text or 0)
    except ValueError:
        return 0.0


def _by_age(fields: dict[str, str]) -> list[Standing]:
    return sorted(parsed(fields).values(), key=lambda each: each.since)


def _fits(index: Index, wanted: Wanted) -> bool:
    asked = index[1] == wanted.task or (not wanted.task and index[1] not in ROUTINE)
    return asked and wanted.target in ("", index[0])


def _merged(answers: Sequence[list[tuple[str, float]]], count: int, bound: int) -> _Found:
    """The newest of all indexes. What one of them left out is older than its last; before that nothing is complete."""
    horizon = max((pairs[-1][1] for pairs in answers if len(pairs) == count), default=0.0)
    runs = sorted((pair for pairs in answers for pair in pairs if pair[1] >= horizon), key=lambda pair: -pair[1])
    return _Found(runs[:bound], runs[bound - 1][1] if len(runs) > bound else horizon)


def _rows(found: _Found, states: Mapping[str, str], wanted: Wanted) -> tuple[list[str], float]:
    """The ids of one page, and where the next one begins."""
    if not wanted.outcome:
        return [run_id for run_id, _ in found.runs], found.rest
    recorded = ("running", "died") if wanted.outcome == "died" else (wanted.outcome,)
    fitting = [(run_id, sent) for run_id, sent in found.runs if states.get(run_id) in recorded]
    if len(fitting) > wanted.limit:
        fitting = fitting[: wanted.limit]
        return [run_id for run_id, _ in fitting], fitting[-1][1]
    return [run_id for run_id, _ in fitting], found.rest


def _shown(ids: Sequence[str], states: Mapping[str, str]) -> list[str]:
    done = next((each for each in ids if states.get(each) == "succeeded"), None)
    return [each for at, each in enumerate(ids) if at == 0 or each == done or states.get(each) in OPEN]

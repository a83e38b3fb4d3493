"""Store and control Redis looked at together, with what a process remembers of both."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from types import TracebackType
from typing import Self

from celery.schedules import crontab

from tasks.control import connect
from tasks.errors import ControlUnreachable, RedkeepError
from tasks.freshness import Freshness, judge
from tasks.inventory import Inventory
from tasks.names import ROUTINE, masked_url
from tasks.records import Record, Records
from tasks.schedule import next_due, schedules_of
from tasks.settings import Settings, Target
from tasks.status.ledger import Ledger, Page
from tasks.status.picture import OPEN, Context, RunPage, TargetStatus, Wanted
from tasks.store import open_store

__all__ = ["Observer"]

LISTED_EVERY = 30.0
"""Seconds between two listings of the store, while somebody looks."""
OTHERS_EVERY = 900.0
"""Seconds between two looks for targets that only the store knows: that lists all of it."""
FIRST_LOOK = 3.0
"""Seconds that the first context waits for the store; a page that comes later would be taken for a broken one."""
ANSWER_WITHIN = 2.0
"""Seconds that the control Redis has to answer."""
NEWEST = Wanted()
ASKED_AGAIN = 3.0
"""Seconds for which a control Redis that did not answer is left alone: each look would wait for it anew."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Observer:
    """Looks at everything for one process, as often as it is asked; several threads may ask.

    Args:
        clock: the time that freshness is judged by.
    """

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = _utc_now) -> None:
        self.settings = settings
        self.clock = clock
        self._client = connect(settings.control, timeout=ANSWER_WITHIN, tries=2)
        self.records = Records(self._client, settings.control)
        self._ledger = Ledger(self._client, settings.control)
        self._last = _Asked(Page())
        self._store = _StoreLooks(settings)

    def context(self, wanted: Wanted = NEWEST, *, patient: bool = True) -> Context:
        """Everything as it is now.

        Args:
            wanted: the runs of the table.
            patient: list the store now and wait for it. Else what a thread found that lists it every so often while
                somebody asks; only the very first time it is waited for, for a moment.

        Neither an unreachable control Redis nor an unreachable store raises: both are told in the context, beside what
        was known last.
        """
        asked = self._ask(wanted)
        heads: dict[str, dict[str, Sequence[Record]]] = defaultdict(dict)
        for (name, task), records in asked.page.heads.items():
            heads[name][task] = records
        ended = {each.id for own in heads.values() for each in _told(own) if each.final}
        self._store.look(patient=patient, ended=ended)
        now = self.clock()
        own = [self._target(each, heads[each.name], asked.page, now) for each in self.settings.target]
        gone = [self._gone(name) for name in self._store.others]
        problem = asked.problem.as_dict() if asked.problem else None
        return Context(now, version("redkeep"), (*own, *gone), asked.page.runs, problem, asked.known, asked.page.tally)

    def run(self, run_id: str) -> Record:
        """
        Raises:
            RunUnknown: there is no such run.
            ControlUnreachable: nobody can say.
        """
        return self.records.read(run_id)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- the control Redis -----------------------------------------------------------------------------------

    def _ask(self, wanted: Wanted) -> _Asked:
        last = self._last
        if last.problem is None or time.monotonic() >= last.again:
            try:
                found = _Asked(self._ledger.read(self.settings.target, wanted), known=self.clock())
            except ControlUnreachable as error:
                self._last = replace(last, problem=error, again=time.monotonic() + ASKED_AGAIN)
            else:
                # What is kept for an outage has the newest runs of all, not those that one reader filtered.
                page = found.page if wanted == NEWEST else replace(found.page, runs=last.page.runs)
                self._last = replace(found, page=page)
                return found
        runs = RunPage(tuple(each for each in self._last.page.runs.rows if _fits(each, wanted)))
        return replace(self._last, page=replace(self._last.page, runs=runs))

    # -- a target --------------------------------------------------------------------------------------------

    def _target(
        self, target: Target, heads: Mapping[str, Sequence[Record]], page: Page, now: datetime
    ) -> TargetStatus:
        stock = self._store.known(target.name)
        max_age, schedules = target.backup.max_age, schedules_of(self.settings, target)
        return TargetStatus(
            name=target.name,
            configured=True,
            url=masked_url(target.url.get_secret_value()),
            max_age=max_age,
            tidies=target.tidy is not None,
            freshness=judge(stock, max_age=max_age, scheduled="tasks.backup" in schedules, now=now),
            stock=stock,
            running=tuple(each for each in _told(heads) if each.state in OPEN),
            latest={task: records[0] for task, records in heads.items() if records},
            done=_done(heads),
            lease=page.leases.get(f"target:{target.name}", ""),
            host_lease=page.leases.get(f"host:{target.host}", "") if target.host else "",
            paused=page.paused.get(target.name, {}),
            due=_due(schedules, now),
            alarms=tuple(page.alarms.get(target.name, ())),
        )

    def _gone(self, name: str) -> TargetStatus:
        told = Freshness("unknown", "the settings do not name it; the store still has its backups")
        return TargetStatus(name, False, "", 0.0, False, told, self._store.known(name))


@dataclass(frozen=True)
class _Asked:
    """What the control Redis said at `known`; with a problem, it is not asked before `again` (monotonic)."""

    page: Page
    known: datetime | None = None
    problem: RedkeepError | None = None
    again: float = 0.0


def _fits(record: Record, wanted: Wanted) -> bool:
    return (
        wanted.target in ("", record.get("target"))
        and wanted.task in ("", record.get("task"))
        and wanted.outcome in ("", record.state)
        and not wanted.before
    )


def _told(heads: Mapping[str, Sequence[Record]]) -> Iterator[Record]:
    for task, records in heads.items():
        if task not in ROUTINE:  # of which one runs at any moment
            yield from records


def _done(heads: Mapping[str, Sequence[Record]]) -> dict[str, Record]:
    return {task: each for task, records in heads.items() for each in reversed(records) if each.state == "succeeded"}


def _due(schedules: Mapping[str, str], now: datetime) -> dict[str, datetime]:
    found = {task: next_due(_crontab(line), now) for task, line in schedules.items()}
    return {task: due for task, due in found.items() if due is not None}


@lru_cache(maxsize=256)
def _crontab(line: str) -> crontab:
    return crontab.from_string(line)


class _StoreLooks:
    """When the store is listed: now, or by a thread of its own."""

    def __init__(self, settings: Settings) -> None:
        self._inventory = Inventory(open_store(**settings.store.arguments()))
        self._configured = [each.name for each in settings.target]
        self.others: list[str] = []
        self._listed = self._others_listed = -OTHERS_EVERY
        self._thread: threading.Thread | None = None
        self._starting = threading.Lock()
        self._ended: AbstractSet[str] = frozenset()
        self.known = self._inventory.known

    def look(self, *, patient: bool, ended: AbstractSet[str]) -> None:
        """
        Args:
            ended: ids of the runs that ended last: where there is a new one, the store may have changed.
        """
        if patient:
            self._look()
            return
        first = self._thread is None
        with self._starting:
            at_work = self._thread is not None and self._thread.is_alive()
            due = time.monotonic() - self._listed >= LISTED_EVERY or not ended <= self._ended
            if due and not at_work:
                self._ended = ended
                self._thread = threading.Thread(target=self._look, name="redkeep-store", daemon=True)
                self._thread.start()
            thread = self._thread
        if first and thread is not None:
            thread.join(FIRST_LOOK)

    def _look(self) -> None:
        self._inventory.look([*self._configured, *self.others])
        if time.monotonic() - self._others_listed >= OTHERS_EVERY:
            with suppress(RedkeepError):  # the look before has told what is wrong with the store
                self.others = self._inventory.others(self._configured)
                self._inventory.look(self.others)
            self._others_listed = time.monotonic()
        self._listed = time.monotonic()

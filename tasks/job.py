"""The frame around every run: record, slot, lease, call, classify. Imports no verb.

Whoever starts a run (beat, Flower, a terminal) comes through :func:`run`. It returns the run's result, raises
:class:`Again` where the message has to be put back for a while, and raises the run's error where it failed.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from celery.exceptions import SoftTimeLimitExceeded

from tasks import lease as leases
from tasks.control import Client, connect, speaking
from tasks.errors import (
    ControlUnreachable,
    Deferral,
    LeaseBusy,
    LeaseLost,
    Paused,
    RedkeepError,
    RunCancelled,
    Skip,
    TimeLimitExceeded,
    Unexpected,
)
from tasks.names import Keys, new_nonce
from tasks.records import Records
from tasks.settings import Settings, Target
from tasks.slot import Slot

__all__ = ["Again", "Job", "Ticket", "run"]

log = logging.getLogger(__name__)

BEAT = 0.5
"""Seconds between two beats: the record's progress is no older, and a cancel is seen no later."""
TRIES = 3
"""How often a failure that may pass by itself (a store that does not answer) is tried altogether."""
LOOK = 0.25
"""Seconds between two tries for a lease that somebody holds."""


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
        keep_message: tells the broker that the message is still being worked on; called at least every minute.
    """

    run_id: str
    task: str
    target: str
    slot: str | None = None
    by: str = ""
    keep_message: Callable[[], None] = lambda: None


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


def run(work: Work, ticket: Ticket, settings: Settings, target: Target | None) -> dict[str, Any]:
    """Carry one run as far as it goes now.

    Args:
        target: whose lease the run needs; None where the ticket names a target that is not there, so that its
            failure is recorded all the same.

    Returns:
        The record's flat result: succeeded or skipped, or whatever an earlier delivery ended as.

    Raises:
        Again: put the message back.
        RedkeepError: the run failed, was deferred for good, or was cancelled; its record says so.
        ControlUnreachable: there was no record to write to.
    """
    client = connect(settings.control)
    try:
        return _Frame(client, settings, ticket, target).run(work)
    finally:
        client.close()


class _Frame:
    def __init__(self, client: Client, settings: Settings, ticket: Ticket, target: Target | None) -> None:
        self.client = client
        self.control = settings.control
        self.names = Keys(settings.control.namespace)
        self.records = Records(client, settings.control)
        self.ticket = ticket
        self.target = target
        self.slot = Slot(client, self.names, ticket.slot, ticket.run_id) if ticket.slot else None
        self.job = Job(ticket, new_nonce(), writes=self._note_writing)

    def run(self, work: Work) -> dict[str, Any]:
        ticket = self.ticket
        self.records.queue(ticket.run_id, task=ticket.task, target=ticket.target, slot=ticket.slot, by=ticket.by)
        standing, detail = self.records.begin(ticket.run_id, self.job.nonce, host=socket.gethostname())
        if standing == "final":
            return self._result()
        if standing == "busy":
            # This message is the safety copy of one at work. Acknowledged now, the run would be lost with the
            # worker that does it; so it waits until the record is final.
            raise Again(self.control.retry_delay, f"attempt {detail} is at work")
        try:
            self._carry(work)
        except Exception as error:  # noqa: BLE001  the frame is where every error is told apart
            self._end(_classified(error))
        except BaseException as stopping:  # the worker is told to go: its message will be delivered again
            self._leave("cancelled" if isinstance(stopping, KeyboardInterrupt) else "waiting")
            raise
        else:
            self._leave("succeeded")
        return self._result()

    def _carry(self, work: Work) -> None:
        """Slot, then lease, then the work; and both given back, whatever happened."""
        job = self.job
        record = self.records.read(self.ticket.run_id)
        job.created = record.moment("created") or job.created
        job.leftover = record.get("writing", "")
        committed = False
        try:
            with _Pulse(self):
                if self.slot is not None:
                    self._check_not_paused()
                    self.slot.claim(self.control.lease_ttl)
                if self.target is not None:
                    with job.phase("wait"):
                        job.lease = self._lease(self.target)
                work(job)
            committed = True
        finally:
            with suppress(ControlUnreachable):  # both end by themselves then; and the first error is the one shown
                if job.lease is not None:
                    job.lease.release()
                if self.slot is not None:
                    self.slot.commit() if committed else self.slot.release()

    def _check_not_paused(self) -> None:
        with speaking(self.client):
            paused = self.client.hgetall(self.names.paused(self.ticket.target))
        for each in (self.ticket.task, "*"):
            if each in paused:
                raise Paused(f"{self.ticket.target} is paused", detail=paused[each])

    def _lease(self, target: Target) -> leases.Lease:
        """Taken at once, or waited for as long as a worker may sit and wait."""
        resources = [f"target:{target.name}"] + ([f"host:{target.host}"] if target.host else [])
        ticket, control = self.ticket, self.control
        holder = f"{ticket.task.removeprefix('tasks.')} of {ticket.target}, run {ticket.run_id}"
        token = f"{ticket.run_id}:{self.job.nonce}"
        end = time.monotonic() + control.patience
        while True:
            self.job.checkpoint()
            try:
                return leases.acquire(
                    self.client, self.names, resources, token=token, holder=holder, ttl=control.lease_ttl
                )
            except LeaseBusy:
                if time.monotonic() >= end:
                    raise
                time.sleep(LOOK)

    # -- how it ended ----------------------------------------------------------------------------------------

    def _end(self, error: RedkeepError) -> None:
        """Record it, and raise it; or have it tried again while its bound is not spent."""
        if isinstance(error, Skip):
            self._leave("skipped", error)
            return
        if self._worth_trying_again(error):
            log.info("run %s waits: %s", self.ticket.run_id, error)
            self._leave("waiting", error)
            raise Again(self.control.retry_delay, str(error)) from error
        state = "cancelled" if isinstance(error, RunCancelled) else "failed"
        if isinstance(error, Deferral):
            state = "deferred"
        log.warning("run %s %s: %s", self.ticket.run_id, state, error)
        self._leave(state, error)
        raise error

    def _worth_trying_again(self, error: RedkeepError) -> bool:
        if not error.retry:
            return False
        try:
            tries, waited = self.records.patience_spent(self.ticket.run_id)
        except RedkeepError:
            return False
        return waited < self.control.defer_for if isinstance(error, Deferral) else tries + 1 < TRIES

    def _leave(self, state: str, error: RedkeepError | None = None) -> None:
        job = self.job
        fields: dict[str, Any] = {"phases": job.phases, "figures": job.figures, "warnings": job.warnings}
        fields |= {"fence": job.fence, "error": error.as_dict() if error else None}
        failed_try = state == "waiting" and error is not None and not isinstance(error, Deferral)
        try:
            self.records.leave(self.ticket.run_id, job.nonce, state, fields, failed_try=failed_try)
        except ControlUnreachable as unwritten:
            log.warning("the record of run %s could not be written: %s", self.ticket.run_id, unwritten)

    def _result(self) -> dict[str, Any]:
        return self.records.read(self.ticket.run_id).result()

    def _note_writing(self, key: str) -> None:
        self.records.note(self.ticket.run_id, "writing", key)


def _classified(error: Exception) -> RedkeepError:
    if isinstance(error, RedkeepError):
        return error
    if isinstance(error, SoftTimeLimitExceeded):
        return TimeLimitExceeded("the run took longer than its time limit")
    log.error("an error that nobody foresaw", exc_info=error)
    return Unexpected(f"an unforeseen {type(error).__name__}")


# -- the pulse -------------------------------------------------------------------------------------------


class _Pulse:
    """A thread that keeps what is ours while the work goes on, and tells the job when it must stop.

    An outage of the control Redis does not end it: it goes on trying, and the job stops by itself once its lease
    can no longer be proven.
    """

    def __init__(self, frame: _Frame) -> None:
        self._frame = frame
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        ttl = frame.control.lease_ttl
        self._duties: list[tuple[float, Callable[[], None]]] = [
            (min(BEAT, ttl / 4), self._beat),
            (ttl / 4, self._hold),
            (min(60.0, frame.control.visibility / 5), frame.ticket.keep_message),
        ]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        due = [0.0] * len(self._duties)
        while not self._done.is_set():
            for index, (period, duty) in enumerate(self._duties):
                if time.monotonic() >= due[index]:
                    due[index] = time.monotonic() + period
                    self._try(duty)
            self._done.wait(max(min(due) - time.monotonic(), 0.0))

    def _try(self, duty: Callable[[], None]) -> None:
        try:
            duty()
        except ControlUnreachable as error:
            log.warning("the pulse missed a beat: %s", error)
        except RedkeepError as error:
            self._stop(error)
        except Exception:  # a pulse that ends is a lease that ends
            log.exception("the pulse missed a beat")

    def _beat(self) -> None:
        job, records = self._frame.job, self._frame.records
        beaten = records.beat(self._frame.ticket.run_id, job.nonce, job.progress)
        if not beaten.ours:
            self._stop(LeaseLost("another worker has taken the run over"))
        elif beaten.cancelled:
            self._stop(RunCancelled("the run was cancelled"))

    def _hold(self) -> None:
        frame = self._frame
        if frame.job.lease is not None:
            frame.job.lease.renew()
            if frame.slot is not None:
                frame.slot.claim(frame.control.lease_ttl)

    def _stop(self, error: RedkeepError) -> None:
        job = self._frame.job
        job.stop = job.stop or error

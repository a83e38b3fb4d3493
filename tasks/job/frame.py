"""A run's life, from its record to its end."""

from __future__ import annotations

import logging
import socket
import time
from contextlib import suppress
from typing import Any

from celery.exceptions import SoftTimeLimitExceeded

from tasks import lease as leases
from tasks.control import Client, connect, speaking
from tasks.errors import (
    ControlUnreachable,
    Deferral,
    LeaseBusy,
    Paused,
    RedkeepError,
    RunCancelled,
    Skip,
    SlotBusy,
    TimeLimitExceeded,
    Unexpected,
    WorkerLost,
    recorded,
)
from tasks.job.pulse import Pulse
from tasks.job.ticket import Again, Job, Ticket, Work
from tasks.names import ROUTINE, Keys, gives_way, new_nonce, resources_of
from tasks.records import Record, Records
from tasks.settings import Settings, Target
from tasks.slot import Slot

__all__ = ["run"]

log = logging.getLogger(__name__)

TRIES = 3
"""How often a run is begun altogether, where a failure may pass by itself (a store that does not answer) or the worker
was killed: what takes its worker along each time must not do so for ever."""
LOOK = 0.25
"""Seconds between two tries for a lease that somebody holds."""


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
            return self._as_recorded()
        if standing == "busy":
            # This message is the safety copy of one at work. Acknowledged now, the run would be lost with the
            # worker that does it; so it waits until the record is final.
            raise Again(self.control.retry_delay, f"attempt {detail} is at work")
        try:
            self._carry(work)
        except Exception as error:  # noqa: BLE001  the frame is where every error is told apart
            return self._end(_classified(error))
        except BaseException as stopping:  # the worker is told to go: its message will be delivered again
            with suppress(Again):
                self._leave("cancelled" if isinstance(stopping, KeyboardInterrupt) else "waiting")
            raise
        return self._leave("succeeded")

    def _carry(self, work: Work) -> None:
        """Slot, then lease, then the work; and both given back, whatever happened."""
        job = self.job
        record = self.records.read(self.ticket.run_id)
        job.created = record.moment("created") or job.created
        job.leftover = record.get("writing", "")
        if int(record.get("tries", 0)) >= TRIES:  # failures end at that number, so the last of them was a death
            raise WorkerLost(f"the run was begun {record.get('tries')} times, and its worker ended in the middle of it")
        committed = False
        try:
            with Pulse(self.job, self.records, self.slot, self.control):
                if self.slot is not None:
                    self._check_not_paused()
                    self.slot.claim(self.control.lease_ttl)
                if self.target is not None:
                    with job.phase("wait"):
                        job.lease = self._lease(self.target)
                    if record.get("waiting_since"):  # this attempt's own wait was only the end of it
                        job.phases["wait"] = round(self.records.patience_spent(self.ticket.run_id)[1], 3)
                    if self.slot is not None:  # the wait may have been longer than its claim
                        self.slot.claim(self.control.lease_ttl)
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
        # Somebody has to go on looking, or a pause that was forgotten would be the end of all alarms.
        for each in (self.ticket.task, *(["*"] if self.ticket.task not in ROUTINE else [])):
            if each in paused:
                raise Paused(f"{self.ticket.target} is paused", detail=paused[each])

    def _lease(self, target: Target) -> leases.Lease:
        """Taken at once, or waited for as long as a worker may sit and wait."""
        ticket, control = self.ticket, self.control
        resources = resources_of(ticket.task, target.name, target.host)
        holder = f"{ticket.task.removeprefix('tasks.')} of {ticket.target}, run {ticket.run_id}"
        token = f"{ticket.run_id}:{self.job.nonce}"
        end = time.monotonic() + control.patience
        while True:
            self.job.checkpoint()
            try:
                self._give_way(resources)
                taken = leases.acquire(
                    self.client, self.names, resources, token=token, holder=holder, ttl=control.lease_ttl
                )
            except LeaseBusy:
                if not gives_way(ticket.task):  # said beyond the next try, for which the message has to come again
                    ttl = max(control.lease_ttl, 2 * control.retry_delay)
                    leases.want(self.client, self.names, resources, run_id=ticket.run_id, ttl=ttl)
                if time.monotonic() >= end:
                    raise
                time.sleep(LOOK)
            else:
                leases.content(self.client, self.names, resources, run_id=ticket.run_id)
                return taken

    def _give_way(self, resources: list[str]) -> None:
        if gives_way(self.ticket.task) and (waiting := leases.wanted(self.client, self.names, resources)):
            raise LeaseBusy(f"run {waiting} waits for the lease and goes first")

    # -- how it ended ----------------------------------------------------------------------------------------

    def _end(self, error: RedkeepError) -> dict[str, Any]:
        """Record it, and raise it; or have it tried again while its bound is not spent."""
        if isinstance(error, Skip):
            return self._leave("skipped", error)
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
        if not error.retry or isinstance(error, SlotBusy):
            return error.retry  # a slot that is being done ends by itself: committed, released, or its claim runs out
        try:
            tries, waited = self.records.patience_spent(self.ticket.run_id)
        except ControlUnreachable:  # it stands for the broker too: whenever that is back, so is the run
            return True
        return waited < self.control.defer_for if isinstance(error, Deferral) else tries + 1 < TRIES

    def _leave(self, state: str, error: RedkeepError | None = None) -> dict[str, Any]:
        """Write the end into the record, and give the result.

        Raises:
            Again: it could not be written, or the run has become another attempt's. Acknowledged now, it would be
                known as `died` for good; the next attempt finds what this one did.
        """
        job, ticket, delay = self.job, self.ticket, self.control.retry_delay
        fields: dict[str, Any] = {"phases": job.phases, "figures": job.figures, "warnings": job.warnings}
        fields |= {"fence": job.fence, "error": error.as_dict() if error else None}
        failed_try = state == "waiting" and error is not None and not isinstance(error, Deferral)
        try:
            ours = self.records.leave(ticket.run_id, job.nonce, state, fields, failed_try=failed_try)
            if not ours and self.records.exists(ticket.run_id):
                raise Again(delay, "another attempt has taken the run over")
        except ControlUnreachable as unwritten:
            log.warning("run %s: %s, and it could not be recorded: %s", ticket.run_id, error or state, unwritten)
            raise Again(delay, str(unwritten)) from error
        facts = {"task": ticket.task, "target": ticket.target, "slot": ticket.slot or None}
        return Record(ticket.run_id, state, facts | fields).result()

    def _as_recorded(self) -> dict[str, Any]:
        """How the run ended when it was delivered before; said once more in the same way, since what a duplicate
        answers takes the place of the first answer."""
        result = self.records.read(self.ticket.run_id).result()
        if result["outcome"] in ("succeeded", "skipped"):
            return result
        raise recorded(result["error"] or RunCancelled("the run was cancelled").as_dict())

    def _note_writing(self, key: str) -> None:
        self.records.note(self.ticket.run_id, "writing", key)


def _classified(error: Exception) -> RedkeepError:
    if isinstance(error, RedkeepError):
        return error
    if isinstance(error, SoftTimeLimitExceeded):
        return TimeLimitExceeded("the run took longer than its time limit")
    log.error("an error that nobody foresaw", exc_info=error)
    return Unexpected(f"an unforeseen {type(error).__name__}")

"""What is kept alive while a verb works: the record's beat, the lease, the slot's claim, the broker's message."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tasks.errors import (
    ControlUnreachable,
    LeaseLost,
    RedkeepError,
    RunCancelled,
)
from tasks.job.ticket import Job
from tasks.names import gives_way
from tasks.records import Records
from tasks.settings import Control
from tasks.slot import Slot

__all__ = ["Pulse"]

log = logging.getLogger(__name__)

BEAT = 0.5
"""Seconds between two beats: the record's progress is no older, and a cancel is seen no later."""


class Pulse:
    """A thread that keeps what is ours while the work goes on, and tells the job when it must stop.

    An outage of the control Redis does not end it: it goes on trying, and the job stops by itself once its lease
    can no longer be proven.
    """

    def __init__(self, job: Job, records: Records, slot: Slot | None, control: Control) -> None:
        self._job = job
        self._records = records
        self._slot = slot
        self._ttl = control.lease_ttl
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)
        self._duties: list[tuple[float, Callable[[], None]]] = [
            (min(BEAT, self._ttl / 4), self._beat),
            (self._ttl / 4, self._hold),
            (min(BEAT, self._ttl / 4), self._look_out),
            (min(60.0, control.visibility / 5), job.ticket.keep_message),
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
        beaten = self._records.beat(self._job.ticket.run_id, self._job.nonce, self._job.progress)
        if not beaten.ours:
            self._stop(LeaseLost("another worker has taken the run over"))
        elif beaten.cancelled:
            self._stop(RunCancelled("the run was cancelled"))

    def _hold(self) -> None:
        if self._job.lease is not None:
            self._job.lease.renew()
            if self._slot is not None:
                self._slot.claim(self._ttl)

    def _look_out(self) -> None:
        if self._job.lease is not None and gives_way(self._job.ticket.task):
            self._job.wanted = self._job.lease.wanted()

    def _stop(self, error: RedkeepError) -> None:
        self._job.stop = self._job.stop or error

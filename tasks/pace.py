"""How fast a server may be worked on: its own answer time decides, so that whoever else asks it never notices.

    with Server(url) as server, Server(url) as beside:
        pace = Pace(beside, max_latency=0.005, checkpoint=job.checkpoint, until=time.monotonic() + 1200)
        while ...:
            (answer,) = pace.ask(server, [("SCAN", cursor, "COUNT", pace.size)])

Beside every batch goes a PING on a connection of its own: it queues behind the batch as any client's command would, so
its answer time, less the way there and back, is what another client waits. Nothing is asked while a save or a rewrite
is alive: each page that is changed meanwhile is copied, and the child's memory with it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.server import POLL, Checkpoint, Server, Word
from tasks.server.info import busy

__all__ = ["Over", "Pace", "Throttle"]

SMALLEST, FIRST, LARGEST = 10, 100, 1000
"""Things in a batch. Larger ones were no faster, even where nobody else asked."""
AIM = 0.1
"""A batch aims at this share of the latency that is allowed: what waits behind it may have waited for others too. At a
fifth, in the same minutes, the slowest hundredth of the others' answers took twice as long; judging was an eighth
faster, removing no faster."""
HALT = 10
"""Times the allowed latency at which nothing more is asked until the server answers as it should."""
CALM = 3
"""PINGs in a row that must be answered in time before it goes on."""
FORKS = 0.1
"""Seconds between two looks at whether a save or rewrite is alive, and at how long an answer takes by itself."""


class Over(Exception):
    """The work's time is over, or somebody else is to have the server now; it is to be left in order."""


@dataclass
class Throttle:
    """What follows from each answer time. Pure: seconds in, the next batch's size and the rest before it out.

    What counts is by how much an answer came later than the fastest one while nothing was asked: the way to the server
    and back is nothing that another client waits for because of us.

    Attributes:
        max_latency: seconds; infinite where nobody else asks.
        size: how many things the next batch may have.
        rest: seconds to leave the server alone before it.
        halted: nothing may be asked until the server is calm.
    """

    max_latency: float
    size: int = FIRST
    rest: float = 0.0
    halted: bool = False
    _calm: int = 0
    _way: float | None = None

    def note(self, latency: float) -> None:
        """The answer time of the PING beside a batch of `size`."""
        aim, late = self.max_latency * AIM, latency - (self._way or 0.0)
        if late > self.max_latency:
            self.rest = min(max(self.rest * 2, late), 1.0)
            self.halted, self._calm = late > HALT * self.max_latency, 0
        else:
            self.rest = self.rest / 2 if self.rest > aim / 10 else 0.0
        # By no more than a half at once: one slow answer may be somebody else's doing.
        wanted = self.size * min(max(aim / max(late, 1e-6), 0.5), 1.25)
        self.size = int(min(max(wanted, SMALLEST), LARGEST))

    def note_idle(self, latency: float) -> None:
        """The answer time of a PING while nothing was asked."""
        self._way = latency if self._way is None else min(self._way, latency)
        self._calm = self._calm + 1 if latency - self._way <= self.max_latency else 0
        self.halted = self.halted and self._calm < CALM


class Pace:
    """Asks a server for batches of work, each when its time has come.

    Args:
        beside: a connection of its own to the same server.
        until: on the monotonic clock, when the work must be over.
        must_end: whether it must be over for another reason; asked before each batch and while waiting.
        checkpoint: called as often; raises where the work must not even end in order.

    Attributes:
        waited: seconds spent waiting, by what for: `latency` or `forks`.
    """

    def __init__(
        self,
        beside: Server,
        *,
        max_latency: float,
        until: float,
        checkpoint: Checkpoint = lambda: None,
        must_end: Callable[[], bool] = lambda: False,
    ) -> None:
        self._beside = beside
        self._throttle = Throttle(max_latency)
        self._until = until
        self._checkpoint = checkpoint
        self._must_end = must_end
        self._look_at = 0.0
        self.waited = {"latency": 0.0, "forks": 0.0}

    def prolonged(self, seconds: float) -> Pace:
        """The same for so many seconds from now, whoever else waits: to end in order what was begun."""
        until = time.monotonic() + seconds
        more = Pace(self._beside, max_latency=self._throttle.max_latency, until=until, checkpoint=self._checkpoint)
        more._throttle, more.waited = self._throttle, self.waited
        return more

    @property
    def size(self) -> int:
        """How many things the next batch may have."""
        return self._throttle.size

    def ask(self, server: Server, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """One batch; its answers.

        Raises:
            Over: it was not sent.
            RedkeepError: as :meth:`tasks.server.Server.answers`, and what `checkpoint` raises.
        """
        self.breathe()
        server.send(commands)
        latency = self._ping()
        replies = server.receive(commands)
        self._throttle.note(latency)
        return server.checked(commands, replies)

    def breathe(self) -> None:
        """Wait until the next batch may be sent. Raises as :meth:`ask`."""
        self._check()
        if self._throttle.rest:
            self._wait("latency", self._throttle.rest)
        while self._throttle.halted:
            self._wait("latency", POLL)
            self._throttle.note_idle(self._ping())
        if time.monotonic() >= self._look_at:
            while busy(self._beside.info("persistence")):
                self._wait("forks", POLL)
            self._throttle.note_idle(self._ping())
            self._look_at = time.monotonic() + FORKS

    def _ping(self) -> float:
        began = time.monotonic()
        self._beside.ask("PING")
        return time.monotonic() - began

    def _wait(self, what: str, seconds: float) -> None:
        self._check()
        time.sleep(seconds)
        self.waited[what] += seconds

    def _check(self) -> None:
        self._checkpoint()
        if self._must_end() or time.monotonic() >= self._until:
            raise Over

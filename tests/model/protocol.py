"""The protocol of record, slot, lease and manifest as a small machine, for a search through every order of its steps.

One slot, two messages for it (two beats), and attempts that carry them. A step is one exchange with the control Redis
or the store, as tasks/job/frame.py, tasks/slot.py, tasks/lease.py, tasks/records/scripts.py and tasks/backup/place.py
make it; between any two steps of an attempt, anything may happen: other attempts' steps, its own death, its message's
second delivery, the end of each of its keys' time to live. A pause is any of these while it takes no step.

What a step does is written here once more, much smaller. That it says the same as the scripts is held by
tests/model/test_protocol.py, which runs both side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

TASKS = ("beat 1", "beat 2")
FINAL = frozenset({"succeeded", "skipped"})


class Record(NamedTuple):
    """One task's run record. `owner` and `alive` are attempts; `writing` is the attempt whose object it names."""

    state: str = "queued"
    owner: int = -1
    alive: int = -1
    writing: int = -1


class Attempt(NamedTuple):
    """One delivery that began its run. `at` is its next step, "" when it has ended."""

    task: int
    at: str = "claim"
    fence: int = 0
    leftover: int = -1
    outcome: str = ""


class Slot(NamedTuple):
    task: int
    committed: bool


class Manifest(NamedTuple):
    attempt: int
    task: int
    fence: int


class Faults(NamedTuple):
    """What the adversary may still do."""

    deaths: int
    ends: int
    copies: int


class World(NamedTuple):
    """Everything there is. Attempts are known by their number; so are their objects and their leases."""

    faults: Faults
    queue: tuple[int, ...] = (0, 1)
    records: tuple[Record, ...] = (Record(), Record())
    attempts: tuple[Attempt, ...] = ()
    slot: Slot | None = None
    lease: int = -1
    fence: int = 0
    objects: frozenset[int] = frozenset()
    manifest: Manifest | None = None
    commits: int = 0

    def with_record(self, task: int, **changes: object) -> World:
        changed = self.records[task]._replace(**changes)
        return self._replace(records=(*self.records[:task], changed, *self.records[task + 1 :]))

    def with_attempt(self, number: int, **changes: object) -> World:
        changed = self.attempts[number]._replace(**changes)
        return self._replace(attempts=(*self.attempts[:number], changed, *self.attempts[number + 1 :]))

    def sent_again(self, task: int) -> World:
        return self._replace(queue=tuple(sorted((*self.queue, task))))


Step = Callable[[World, int], World]


class Protocol:
    """The steps of an attempt.

    Args:
        conditional: the store refuses a manifest where one stands.
        leftover_first: an attempt removes what the one before it wrote before it writes its own, as a first version
            of the backup did; kept to show that the search finds what is wrong with it.
    """

    def __init__(self, *, conditional: bool = True, leftover_first: bool = False) -> None:
        self.conditional = conditional
        self.leftover_first = leftover_first

    # -- a message is delivered --------------------------------------------------------------------------------

    def deliver(self, world: World, task: int) -> World:
        """records.begin: the run is final, busy with another attempt, or this attempt's."""
        queue = list(world.queue)
        queue.remove(task)
        world = world._replace(queue=tuple(queue))
        record = world.records[task]
        if record.state in FINAL:
            return world
        if record.state == "running" and record.alive >= 0:
            return world.sent_again(task)
        number = len(world.attempts)
        world = world._replace(attempts=(*world.attempts, Attempt(task, leftover=record.writing)))
        return world.with_record(task, state="running", owner=number, alive=number)

    # -- the frame, then the backup, then the frame again --------------------------------------------------------

    def claim(self, world: World, me: int) -> World:
        task = world.attempts[me].task
        if world.slot and world.slot.task != task:
            return self._unwinding(world, me, "skipped" if world.slot.committed else "waiting")
        return self._on(world._replace(slot=world.slot or Slot(task, committed=False)), me, "acquire")

    def acquire(self, world: World, me: int) -> World:
        if world.lease >= 0:
            return self._unwinding(world, me, "waiting")
        world = world._replace(lease=me, fence=world.fence + 1)
        return self._on(world.with_attempt(me, fence=world.fence), me, "standing")

    def standing(self, world: World, me: int) -> World:
        attempt = world.attempts[me]
        if self.leftover_first and attempt.leftover >= 0:
            return self._on(self._taken_back(world, attempt.leftover).with_attempt(me, leftover=-1), me, "standing")
        if world.manifest is None:
            return self._on(world, me, "note")
        return self._unwinding(world, me, "succeeded" if world.manifest.task == attempt.task else "skipped")

    def note(self, world: World, me: int) -> World:
        return self._on(world.with_record(world.attempts[me].task, writing=me), me, "put")

    def put(self, world: World, me: int) -> World:
        return self._on(world._replace(objects=world.objects | {me}), me, "prove")

    def prove(self, world: World, me: int) -> World:
        return self._on(world, me, "commit" if world.lease == me else "take back")

    def commit(self, world: World, me: int) -> World:
        attempt = world.attempts[me]
        if world.manifest is not None and self.conditional:
            if world.manifest.task != attempt.task:
                return self._on(world, me, "take back, done")
            return self._on(world._replace(objects=world.objects - {me}), me, "sweep")
        manifest = Manifest(me, attempt.task, attempt.fence)
        return self._on(world._replace(manifest=manifest, commits=world.commits + 1), me, "sweep")

    def sweep(self, world: World, me: int) -> World:
        leftover = world.attempts[me].leftover
        return self._unwinding(self._taken_back(world, leftover) if leftover >= 0 else world, me, "succeeded")

    def take_back(self, world: World, me: int) -> World:
        return self._unwinding(self._taken_back(world, me), me, "waiting")

    def take_back_done(self, world: World, me: int) -> World:
        return self._unwinding(self._taken_back(world, me), me, "skipped")

    def release(self, world: World, me: int) -> World:
        return self._on(world._replace(lease=-1) if world.lease == me else world, me, "let go")

    def let_go(self, world: World, me: int) -> World:
        attempt = world.attempts[me]
        if attempt.outcome == "succeeded":
            world = world._replace(slot=Slot(attempt.task, committed=True))
        elif world.slot == Slot(attempt.task, committed=False):
            world = world._replace(slot=None)
        return self._on(world, me, "leave")

    def leave(self, world: World, me: int) -> World:
        """The record's end, if the run is still this attempt's; then the message is acknowledged or sent again."""
        attempt = world.attempts[me]
        world = self._on(world, me, "")
        if world.records[attempt.task].owner != me or world.records[attempt.task].state in FINAL:
            return world.sent_again(attempt.task)
        world = world.with_record(attempt.task, state=attempt.outcome, alive=-1)
        return world if attempt.outcome in FINAL else world.sent_again(attempt.task)

    def _taken_back(self, world: World, number: int) -> World:
        """What that attempt wrote, unless it was committed."""
        if world.manifest and world.manifest.attempt == number:
            return world
        return world._replace(objects=world.objects - {number})

    def _unwinding(self, world: World, me: int, outcome: str) -> World:
        return self._on(world.with_attempt(me, outcome=outcome), me, "release")

    @staticmethod
    def _on(world: World, me: int, step: str) -> World:
        return world.with_attempt(me, at=step)

    def step(self, world: World, me: int) -> World:
        name = world.attempts[me].at.replace(", ", "_").replace(" ", "_")
        step: Step = getattr(self, name)
        return step(world, me)

    # -- all that may happen next --------------------------------------------------------------------------------

    def fair(self, world: World) -> Iterator[tuple[str, World]]:
        """What happens without any fault: steps and deliveries."""
        for number, attempt in enumerate(world.attempts):
            if attempt.at:
                yield f"attempt {number}: {attempt.at}", self.step(world, number)
        for task in sorted(set(world.queue)):
            yield f"{TASKS[task]} is delivered", self.deliver(world, task)

    def faults(self, world: World) -> Iterator[tuple[str, World]]:
        """What the adversary may do."""
        deaths, ends, copies = world.faults
        for number, attempt in enumerate(world.attempts):
            if attempt.at and deaths:
                dead = world.with_attempt(number, at="")._replace(faults=Faults(deaths - 1, ends, copies))
                yield f"attempt {number} is killed", dead.sent_again(attempt.task)
        if ends:
            less = world._replace(faults=Faults(deaths, ends - 1, copies))
            yield from ((f"{what} ends", ended) for what, ended in expiries(less))
        if copies:
            for task in {attempt.task for attempt in world.attempts if attempt.at}:
                less = world._replace(faults=Faults(deaths, ends, copies - 1))
                yield f"{TASKS[task]}'s message is sent a second time", less.sent_again(task)


def expiries(world: World) -> Iterator[tuple[str, World]]:
    """Each key that lives only while somebody renews it, gone."""
    if world.lease >= 0:
        yield f"the lease of attempt {world.lease}", world._replace(lease=-1)
    if world.slot and not world.slot.committed:
        yield f"the claim of {TASKS[world.slot.task]}", world._replace(slot=None)
    for task, record in enumerate(world.records):
        if record.alive >= 0:
            yield f"the beat of {TASKS[task]}", world.with_record(task, alive=-1)


def abandoned(world: World) -> World:
    """What is left once every key that nobody renews has ended: those of attempts that are over or have lost them."""
    at_work = {number for number, attempt in enumerate(world.attempts) if attempt.at}
    if world.lease not in at_work:
        world = world._replace(lease=-1)
    if world.slot and not world.slot.committed and world.slot.task not in {world.attempts[n].task for n in at_work}:
        world = world._replace(slot=None)
    for task, record in enumerate(world.records):
        if record.alive not in at_work:
            world = world.with_record(task, alive=-1)
    return world

"""The same steps, taken by redkeep itself on a real control Redis and a real store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from model.protocol import TASKS, Manifest, Record, Slot, World
from tasks import lease as leases
from tasks.control import Client
from tasks.errors import LeaseBusy, LeaseLost, ObjectExists, SlotBusy, SlotCommitted
from tasks.names import Keys
from tasks.records import Records
from tasks.settings import Control
from tasks.slot import Slot as RealSlot
from tasks.store import Store

SLOT = "tasks.backup/main/2026-11-23T11:07Z"
MANIFEST = "main/manifests/20261123T110700Z.json"
TTL = 60.0


class Real:
    """One installation. It follows a walk through the model: :meth:`take` does what the walk names."""

    def __init__(self, client: Client, control: Control, store: Store) -> None:
        self.client, self.store = client, store
        self.names = Keys(control.namespace)
        self.records = Records(client, control)
        self.leases: dict[int, leases.Lease] = {}
        self.fence = 0

    # -- doing ---------------------------------------------------------------------------------------------------

    def take(self, what: str, before: World, after: World) -> None:
        """The event of that name, by our own code. Where the model says how it ended, ours must end so too."""
        actor, _, step = what.partition(": ")
        if step:
            me = int(actor.removeprefix("attempt "))
            method = step.replace(", ", "_").replace(" ", "_")
            getattr(self, method)(me, before, after.attempts[me].at)
        elif what.endswith("is delivered"):
            self.deliver(TASKS.index(what.removesuffix(" is delivered")), before, after)
        elif what.endswith(" ends"):
            self.client.delete(self._key(what.removesuffix(" ends")))

    def deliver(self, task: int, before: World, after: World) -> None:
        self.records.queue(TASKS[task], task="tasks.backup", target="main", slot=SLOT)
        standing, _ = self.records.begin(TASKS[task], str(len(before.attempts)), host="here")
        began = len(after.attempts) > len(before.attempts)
        assert (standing == "go") == began

    def claim(self, me: int, before: World, then: str) -> None:
        try:
            self._slot(before, me).claim(TTL)
            assert then == "acquire"
        except (SlotBusy, SlotCommitted):
            assert then == "release"

    def acquire(self, me: int, before: World, then: str) -> None:
        try:
            self.leases[me] = leases.acquire(
                self.client, self.names, ["target:main"], token=str(me), holder=str(me), ttl=TTL
            )
            assert then == "standing"
            assert self.leases[me].fence > self.fence
            self.fence = self.leases[me].fence
        except LeaseBusy:
            assert then == "release"

    def standing(self, me: int, before: World, then: str) -> None:
        assert (self.store.head(MANIFEST) is None) == (then == "note")

    def note(self, me: int, before: World, then: str) -> None:
        self.records.note(TASKS[before.attempts[me].task], "writing", str(me))

    def put(self, me: int, before: World, then: str) -> None:
        self.store.put(_object(me), iter([b"snapshot"]))

    def prove(self, me: int, before: World, then: str) -> None:
        try:
            self.leases[me].renew()
            assert then == "commit"
        except LeaseLost:
            assert then == "take back"

    def commit(self, me: int, before: World, then: str) -> None:
        try:
            self.store.put_once(MANIFEST, f"{me} {before.attempts[me].task}".encode())
        except ObjectExists:
            assert before.manifest is not None
            if then == "sweep":
                self.store.delete(_object(me))
        else:
            assert then == "sweep"

    def sweep(self, me: int, before: World, then: str) -> None:
        if before.attempts[me].leftover >= 0:
            self._take_back(before.attempts[me].leftover)

    def take_back(self, me: int, before: World, then: str) -> None:
        self._take_back(me)

    take_back_done = take_back

    def release(self, me: int, before: World, then: str) -> None:
        if me in self.leases:
            self.leases[me].release()

    def let_go(self, me: int, before: World, then: str) -> None:
        slot = self._slot(before, me)
        slot.commit() if before.attempts[me].outcome == "succeeded" else slot.release()

    def leave(self, me: int, before: World, then: str) -> None:
        attempt = before.attempts[me]
        self.records.leave(TASKS[attempt.task], str(me), attempt.outcome, {})

    def _take_back(self, number: int) -> None:
        committed = self.store.head(MANIFEST) and self.store.read(MANIFEST).split()[0] == str(number).encode()
        if not committed:
            self.store.delete(_object(number))

    def _slot(self, world: World, me: int) -> RealSlot:
        return RealSlot(self.client, self.names, SLOT, TASKS[world.attempts[me].task])

    def _key(self, what: str) -> str:
        if what.startswith("the lease"):
            return self.names.lease("target:main")
        if what.startswith("the claim"):
            return self.names.slot(SLOT)
        return self.names.alive(what.removeprefix("the beat of "))

    # -- seeing --------------------------------------------------------------------------------------------------

    def seen(self) -> dict[str, Any]:
        """What lies in Redis and in the store, in the model's words."""
        claim = self.client.hgetall(self.names.slot(SLOT))
        lease = self.client.hget(self.names.lease("target:main"), "token")
        body = self.store.read(MANIFEST).split() if self.store.head(MANIFEST) else None
        return {
            "records": tuple(self._record(task) for task in TASKS),
            "slot": Slot(TASKS.index(claim["task_id"]), claim["state"] == "committed") if claim else None,
            "lease": int(lease) if lease else -1,
            "objects": {int(each.key.rpartition("/")[2]) for each in self.store.list("main/snapshots/")},
            "manifest": (int(body[0]), int(body[1])) if body else None,
        }

    def _record(self, task: str) -> Record:
        told = self.client.hgetall(self.names.run(task))
        alive = self.client.get(self.names.alive(task))
        return Record(
            told.get("state", "queued"),
            int(told.get("nonce", -1)),
            int(alive) if alive else -1,
            int(told.get("writing", -1)),
        )


def expected(world: World) -> dict[str, Any]:
    manifest: Manifest | None = world.manifest
    return {
        "records": world.records,
        "slot": world.slot,
        "lease": world.lease,
        "objects": set(world.objects),
        "manifest": (manifest.attempt, manifest.task) if manifest else None,
    }


def store_in(folder: Path) -> Store:
    from tasks.store import open_store

    return open_store(folder.as_uri())


def _object(number: int) -> str:
    return f"main/snapshots/{number}"

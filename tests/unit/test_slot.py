"""The slot on a real Redis: however often it is sent, one task does it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from tasks.control import Client
from tasks.errors import SlotBusy, SlotCommitted
from tasks.names import Keys
from tasks.slot import REMEMBERED, Slot

NAME = "tasks.backup/main/2026-11-23T11:07Z"


def slot(client: Client, names: Keys, task_id: str) -> Slot:
    return Slot(client, names, NAME, task_id)


def test_a_slot_is_claimed_for_a_while(client: Client, names: Keys) -> None:
    slot(client, names, "a").claim(30)
    assert 0 < client.pttl(names.slot(NAME)) <= 30_000


def test_the_same_task_enters_again_and_holds_on(client: Client, names: Keys) -> None:
    slot(client, names, "a").claim(2)
    slot(client, names, "a").claim(30)
    assert client.pttl(names.slot(NAME)) > 2000


def test_another_task_is_refused_and_told_who_does_it(client: Client, names: Keys) -> None:
    slot(client, names, "a").claim(30)
    with pytest.raises(SlotBusy, match="is being done by run a"):
        slot(client, names, "b").claim(30)


def test_a_claim_that_ran_out_is_free_for_another(client: Client, names: Keys) -> None:
    first = slot(client, names, "a")
    first.claim(30)
    client.delete(names.slot(NAME))
    slot(client, names, "b").claim(30)
    with pytest.raises(SlotBusy, match="by run b"):
        first.claim(30)
    first.release()
    assert client.hget(names.slot(NAME), "task_id") == "b"


def test_a_committed_slot_is_refused_and_remembered_longer_than_any_catch_up(client: Client, names: Keys) -> None:
    first = slot(client, names, "a")
    first.claim(30)
    first.commit()
    with pytest.raises(SlotCommitted, match="was done by run a"):
        slot(client, names, "b").claim(30)
    assert REMEMBERED - 60 < client.ttl(names.slot(NAME)) <= REMEMBERED


def test_who_committed_it_and_died_before_saying_so_enters_again_and_it_stays_committed(
    client: Client, names: Keys
) -> None:
    slot(client, names, "a").claim(30)
    slot(client, names, "a").commit()
    slot(client, names, "a").claim(30)
    slot(client, names, "a").release()
    assert client.hget(names.slot(NAME), "state") == "committed"
    assert client.ttl(names.slot(NAME)) > 30


def test_a_released_slot_is_free_at_once(client: Client, names: Keys) -> None:
    first = slot(client, names, "a")
    first.claim(30)
    first.release()
    first.release()
    slot(client, names, "b").claim(30)


def test_nobody_releases_what_was_committed_or_what_is_another_s(client: Client, names: Keys) -> None:
    slot(client, names, "a").claim(30)
    slot(client, names, "b").release()
    assert client.exists(names.slot(NAME))
    slot(client, names, "a").commit()
    slot(client, names, "a").release()
    slot(client, names, "b").release()
    assert client.hgetall(names.slot(NAME)) == {"task_id": "a", "state": "committed"}


def test_slots_of_other_minutes_have_nothing_to_do_with_it(client: Client, names: Keys) -> None:
    slot(client, names, "a").claim(30)
    Slot(client, names, NAME.replace("11:07", "12:07"), "b").claim(30)
    assert client.hget(names.slot(NAME), "task_id") == "a"


class Slots(RuleBasedStateMachine):
    """Three tasks with one slot, and claims that run out under them.

    What is promised: while a claim lasts, nobody else has the slot; once somebody who has it commits, nobody else
    ever gets it. A task whose claim ran out does not commit: the frame asks before its work, and the store's
    manifest is the last word.
    """

    client: Client
    namespace = ""
    number = 0

    def __init__(self) -> None:
        super().__init__()
        Slots.number += 1
        self.names = Keys(f"{self.namespace}.{Slots.number}")
        self.owner: str | None = None
        self.committed = False

    def _slot(self, task_id: str) -> Slot:
        return slot(self.client, self.names, task_id)

    @rule(task_id=st.sampled_from("abc"), replies_lost=st.integers(0, 2))
    def claim(self, task_id: str, replies_lost: int) -> None:
        for _ in range(replies_lost + 1):
            try:
                self._slot(task_id).claim(30)
            except SlotCommitted:
                assert self.committed
                assert self.owner != task_id
            except SlotBusy:
                assert not self.committed
                assert self.owner not in (None, task_id)
            else:
                assert self.owner in (None, task_id)
                self.owner = task_id

    @rule(replies_lost=st.integers(0, 2))
    def commit(self, replies_lost: int) -> None:
        if self.owner is not None:
            for _ in range(replies_lost + 1):
                self._slot(self.owner).commit()
            self.committed = True

    @rule(task_id=st.sampled_from("abc"))
    def release(self, task_id: str) -> None:
        self._slot(task_id).release()
        if self.owner == task_id and not self.committed:
            self.owner = None

    @rule()
    def the_claim_runs_out(self) -> None:
        if not self.committed:
            self.client.delete(self.names.slot(NAME))
            self.owner = None


def test_one_task_at_a_time_has_a_slot_and_one_at_all_commits_it(client: Client, namespace: str) -> None:
    Slots.client, Slots.namespace = client, namespace
    run_state_machine_as_test(
        Slots,
        settings=hypothesis_settings(
            max_examples=60, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

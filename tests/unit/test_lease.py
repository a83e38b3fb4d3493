"""The lease on a real Redis. A pause is played by taking the key away, as its time to live would have."""

from __future__ import annotations

import time

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from rig.installations import settings
from rig.redis_servers import RedisServer

from tasks.control import Client, connect
from tasks.errors import ControlUnreachable, LeaseBusy, LeaseLost
from tasks.lease import Lease, acquire
from tasks.names import Keys

MAIN = ["target:main"]
TTL = 30.0


def take(client: Client, names: Keys, token: str, resources: list[str] | None = None, ttl: float = TTL) -> Lease:
    return acquire(client, names, resources or MAIN, token=token, holder=f"backup of main, run {token}", ttl=ttl)


def end(client: Client, names: Keys, resource: str = "target:main") -> None:
    """What the time to live does."""
    assert client.delete(names.lease(resource)) == 1


def test_a_free_lease_is_taken_for_its_time(client: Client, names: Keys) -> None:
    lease = take(client, names, "a")
    lease.check()
    assert 0 < client.pttl(names.lease("target:main")) <= TTL * 1000
    seconds, micro = client.time()
    assert 0 <= seconds * 10**6 + micro - lease.fence < 60 * 10**6


def test_taking_it_again_with_the_same_token_is_a_refresh_with_the_same_fence(client: Client, names: Keys) -> None:
    first = take(client, names, "a", ttl=2)
    again = take(client, names, "a", ttl=TTL)
    assert again.fence == first.fence
    assert client.pttl(names.lease("target:main")) > 2000


def test_another_is_refused_and_told_who_holds_it_and_how_long(client: Client, names: Keys) -> None:
    take(client, names, "a")
    with pytest.raises(LeaseBusy) as caught:
        take(client, names, "b")
    assert caught.value.message == "the lease is held by backup of main, run a"
    assert caught.value.detail == "ends in 30 s unless renewed"
    assert client.hget(names.lease("target:main"), "token") == "a"


def test_several_resources_are_taken_all_or_none(client: Client, names: Keys) -> None:
    host = take(client, names, "a", ["host:db1"])
    with pytest.raises(LeaseBusy):
        take(client, names, "b", ["target:main", "host:db1"])
    assert client.exists(names.lease("target:main")) == 0
    host.release()
    both = take(client, names, "b", ["target:main", "host:db1"])
    fences = {client.hget(names.lease(each), "fence") for each in ("target:main", "host:db1")}
    assert fences == {str(both.fence)}
    both.release()
    assert client.exists(names.lease("target:main"), names.lease("host:db1")) == 0


def test_a_lease_that_is_only_partly_left_is_taken_anew_with_a_higher_fence(client: Client, names: Keys) -> None:
    first = take(client, names, "a", ["target:main", "host:db1"])
    end(client, names, "host:db1")
    assert take(client, names, "a", ["target:main", "host:db1"]).fence > first.fence


def test_after_its_end_another_takes_it_with_a_higher_fence(client: Client, names: Keys) -> None:
    first = take(client, names, "a")
    end(client, names)
    second = take(client, names, "b")
    assert second.fence > first.fence


def test_the_fence_rises_even_where_the_clock_stands_still_or_falls_back(client: Client, names: Keys) -> None:
    future = 10**16 // 4  # beyond any server's clock of this century
    client.set(names.fence(), future)
    lease = take(client, names, "a")
    assert lease.fence == future + 1
    lease.release()
    assert take(client, names, "b").fence == future + 2


def test_the_fence_does_not_fall_when_the_control_redis_has_lost_everything(client: Client, names: Keys) -> None:
    before = take(client, names, "a").fence
    client.delete(names.fence(), names.lease("target:main"))
    assert take(client, names, "b").fence > before


def test_a_renewal_after_the_end_says_that_it_is_lost_and_takes_nothing(client: Client, names: Keys) -> None:
    lease = take(client, names, "a")
    end(client, names)
    with pytest.raises(LeaseLost, match="ended while the run went on"):
        lease.renew()
    assert client.exists(names.lease("target:main")) == 0
    with pytest.raises(LeaseLost):
        lease.check()


def test_a_renewal_does_not_take_back_what_another_has(client: Client, names: Keys) -> None:
    first = take(client, names, "a")
    end(client, names)
    second = take(client, names, "b", ttl=5)
    with pytest.raises(LeaseLost):
        first.renew()
    assert client.pttl(names.lease("target:main")) <= 5000
    second.renew()


def test_one_lost_resource_of_two_is_a_lost_lease(client: Client, names: Keys) -> None:
    lease = take(client, names, "a", ["target:main", "host:db1"])
    end(client, names, "host:db1")
    with pytest.raises(LeaseLost):
        lease.renew()


def test_a_renewal_prolongs_the_key_and_the_proof(client: Client, names: Keys) -> None:
    lease = take(client, names, "a")
    lease.proven_until = 0.0
    client.pexpire(names.lease("target:main"), 500)
    lease.renew()
    lease.check()
    assert client.pttl(names.lease("target:main")) > 500


def test_past_its_proof_a_lease_is_lost_whatever_redis_says(client: Client, names: Keys) -> None:
    lease = take(client, names, "a")
    lease.proven_until = time.clock_gettime(time.CLOCK_BOOTTIME)
    with pytest.raises(LeaseLost, match="could not be renewed in time"):
        lease.check()


def test_the_proof_counts_from_the_question_and_not_from_the_answer(client: Client, names: Keys) -> None:
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    lease = take(client, names, "a")
    after = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before + TTL <= lease.proven_until <= after + TTL
    assert lease.proven_until - after <= client.pttl(names.lease("target:main")) / 1000 + 0.001


def test_giving_back_what_another_holds_does_nothing(client: Client, names: Keys) -> None:
    first = take(client, names, "a")
    end(client, names)
    second = take(client, names, "b")
    first.release()
    first.release()
    second.renew()


def test_a_control_redis_that_is_gone_is_told_apart_from_a_lost_lease(any_redis: RedisServer) -> None:
    control = settings(any_redis.url).control
    client, names = connect(control), Keys(control.namespace)
    lease = take(client, names, "a")
    any_redis.kill()
    for attempt in (lease.renew, lease.release, lambda: take(client, names, "b")):
        with pytest.raises(ControlUnreachable, match=f"127.0.0.1:{any_redis.port}"):
            attempt()
    lease.check()
    client.close()


# -- whatever happens in between -------------------------------------------------------------------------

TOKENS = st.sampled_from(["a", "b", "c"])
SETS = st.sampled_from([["target:x"], ["target:y"], ["target:x", "host:h"], ["target:y", "host:h"], ["host:h"]])
RESOURCES = ("target:x", "target:y", "host:h")


class Leases(RuleBasedStateMachine):
    """Three workers and a hostile world: lost replies, pauses, evictions, a control Redis that forgets."""

    client: Client
    number = 0

    def __init__(self) -> None:
        super().__init__()
        Leases.number += 1
        self.names = Keys(f"{self.namespace}.{Leases.number}")
        self.leases: list[Lease] = []
        self.highest = 0

    namespace = ""

    def _owner(self, resource: str) -> str | None:
        owner = self.client.hget(self.names.lease(resource), "token")
        return None if owner is None else str(owner)

    @rule(token=TOKENS, resources=SETS, replies_lost=st.integers(0, 2))
    def acquire(self, token: str, resources: list[str], replies_lost: int) -> None:
        owners = {self._owner(each) for each in resources}
        strangers = owners - {token, None}
        for _ in range(replies_lost + 1):
            try:
                lease = take(self.client, self.names, token, resources)
            except LeaseBusy:
                assert strangers
                return
            assert not strangers
            if owners == {token}:
                assert lease.fence <= self.highest, "a refresh gives out no new fence"
            else:
                assert lease.fence > self.highest, "a fence is higher than all before it"
            self.highest, owners = max(self.highest, lease.fence), {token}
        self.leases.append(lease)

    @precondition(lambda self: self.leases)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        lease = data.draw(st.sampled_from(self.leases))
        others = {each: self._owner(each) for each in RESOURCES if self._owner(each) != lease.token}
        lease.release()
        assert {each: self._owner(each) for each in others} == others

    @rule(resource=st.sampled_from(RESOURCES))
    def time_runs_out(self, resource: str) -> None:
        self.client.delete(self.names.lease(resource))

    @rule()
    def everything_is_lost(self) -> None:
        self.client.delete(self.names.fence(), *(self.names.lease(each) for each in RESOURCES))

    @invariant()
    def nobody_holds_what_another_holds(self) -> None:
        holding: dict[str, str] = {}
        for lease in self.leases:
            try:
                lease.renew()
            except LeaseLost:
                continue
            for key in lease.keys:
                assert holding.setdefault(key, lease.token) == lease.token
        for key in holding:
            assert self.client.pttl(key) > 0


def test_at_most_one_holds_a_resource_and_fences_rise_whatever_happens(client: Client, namespace: str) -> None:
    Leases.client, Leases.namespace = client, namespace
    run_state_machine_as_test(
        Leases,
        settings=hypothesis_settings(
            max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

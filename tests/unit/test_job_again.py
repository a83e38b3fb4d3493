"""Messages that come twice, workers that die, a control Redis that goes away: one run, told as it was."""

from __future__ import annotations

from typing import Any

import pytest
from rig.redis_servers import RedisServer
from rig.site import LASTING, SLOT, Site, after, figures, nothing, raising

from tasks.errors import (
    BucketMissing,
    ControlUnreachable,
    LeaseLost,
    RedkeepError,
    RunCancelled,
    StoreFailed,
    StoreUnreachable,
    WorkerLost,
)
from tasks.job import Again, Job, Work
from tasks.job.frame import TRIES
from tasks.slot import Slot

# -- messages delivered more than once -------------------------------------------------------------------


def test_a_duplicate_goes_back_while_its_original_is_alive_and_touches_nothing(site: Site) -> None:
    def original(running: Job) -> None:
        before = {name: value for name, value in site.raw().items() if name != "progress"}
        lease = site.client.hgetall(site.lease())
        with pytest.raises(Again, match="is at work") as again:
            site.run(raising(AssertionError()), slot=SLOT)
        assert again.value.delay == site.settings.control.retry_delay
        assert {name: value for name, value in site.raw().items() if name != "progress"} == before
        assert site.client.hgetall(site.lease()) == lease

    assert site.run(original, slot=SLOT)["outcome"] == "succeeded"


def test_a_duplicate_after_the_end_answers_as_the_original_did(site: Site) -> None:
    first = site.run(figures, slot=SLOT)
    assert site.run(raising(AssertionError()), slot=SLOT) == first
    assert site.run(raising(AssertionError())) == first


@pytest.mark.parametrize(
    "error", [BucketMissing("no bucket", detail="HTTP 404"), ValueError("x"), RunCancelled("stop")], ids=str
)
def test_a_duplicate_after_a_failure_fails_in_the_same_way(site: Site, error: Exception) -> None:
    with pytest.raises(RedkeepError) as first:
        site.run(raising(error))
    before = site.raw()
    with pytest.raises(RedkeepError) as second:
        site.run(raising(AssertionError()))
    assert type(second.value) is type(first.value)
    assert second.value.as_dict() == first.value.as_dict()
    assert site.raw() == before


def test_after_a_kill_the_next_delivery_takes_over_and_knows_what_was_being_written(site: Site) -> None:
    def killed(running: Job) -> None:
        running.writes("main/snapshots/half")
        raise _Killed

    _killed(site, killed, slot=SLOT)
    assert site.read().state == "died"
    leftovers = []
    assert site.run(lambda running: leftovers.append(running.leftover), slot=SLOT)["outcome"] == "succeeded"
    assert leftovers == ["main/snapshots/half"]
    (attempt,) = site.read().get("attempts")
    assert attempt["outcome"] == "died"


def test_every_attempt_of_a_run_knows_when_the_run_was_sent(site: Site) -> None:
    seen = []

    def fails(running: Job) -> None:
        seen.append(running.created)
        raise StoreFailed("x")

    with pytest.raises(Again):
        site.run(fails)
    site.run(lambda running: seen.append(running.created))
    assert seen[0] == seen[1] == site.read().moment("created")


def test_work_that_takes_its_worker_along_each_time_is_given_up(site: Site) -> None:
    for _ in range(TRIES):
        _killed(site, raising(_Killed()))
    with pytest.raises(WorkerLost, match=f"begun {TRIES} times"):
        site.run(raising(AssertionError()))
    assert (site.read().state, site.read().get("error")["name"]) == ("failed", "worker-lost")
    assert len(site.read().get("attempts")) == TRIES


def test_who_died_between_committing_the_slot_and_saying_so_succeeds_the_next_time(site: Site) -> None:
    def killed(running: Job) -> None:
        Slot(site.client, site.names, SLOT, "r1").commit()
        raise _Killed

    with pytest.raises(_Killed):
        site.run(killed, slot=SLOT)
    revive(site)
    site.client.delete(site.lease(), site.lease("host:db1"))
    assert site.run(nothing, slot=SLOT)["outcome"] == "succeeded"
    assert site.client.hget(site.names.slot(SLOT), "state") == "committed"


class _Killed(BaseException):
    """Ends the work; what the frame then still does is undone, since a killed process does nothing more."""


def _killed(site: Site, work: Work, **options: Any) -> None:
    with pytest.raises(_Killed):
        site.run(work, **options)
    revive(site)
    site.dies()


def revive(site: Site) -> None:
    """The record as a killed process leaves it: running, and nobody beats."""
    site.client.hset(site.names.run("r1"), "state", "running")
    site.client.hdel(site.names.run("r1"), "waiting_since", "error")


# -- the control Redis goes away -------------------------------------------------------------------------


def test_a_control_redis_that_is_down_at_the_beginning_is_told(own_site: Site, any_redis: RedisServer) -> None:
    any_redis.kill()
    with pytest.raises(ControlUnreachable):
        own_site.run(raising(AssertionError()))


def test_a_control_redis_that_comes_back_with_its_data_is_not_noticed(
    own_site: Site, any_redis: RedisServer
) -> None:
    any_redis.restart(**LASTING)

    def work(running: Job) -> None:
        fence = running.fence
        any_redis.kill()
        any_redis.restart()
        running.prove()
        assert running.fence == fence

    assert own_site.run(work, slot=SLOT)["outcome"] == "succeeded"
    assert own_site.read().state == "succeeded"
    assert own_site.held() == []


def test_a_control_redis_that_comes_back_empty_stops_the_work_and_the_run_begins_anew(
    own_site: Site, any_redis: RedisServer
) -> None:
    site = own_site
    fences = []

    def work(running: Job) -> None:
        fences.append(running.fence)
        any_redis.kill()
        any_redis.restart()
        running.prove()

    with pytest.raises(Again) as again:
        site.run(work, slot=SLOT)
    assert isinstance(again.value.__cause__, LeaseLost)
    assert site.held() == []
    assert site.run(lambda running: fences.append(running.fence), slot=SLOT)["outcome"] == "succeeded"
    assert fences[1] > fences[0]


def test_a_run_whose_record_is_gone_at_the_end_still_gives_its_result(own_site: Site) -> None:
    def work(running: Job) -> None:
        figures(running)
        own_site.client.flushall()

    result = own_site.run(work)
    assert (result["outcome"], result["target"], result["figures"]) == ("succeeded", "main", {"bytes": 7})


@pytest.mark.parametrize("outcome", [None, StoreUnreachable("gone"), BucketMissing("gone")], ids=str)
def test_an_end_that_cannot_be_written_sends_the_run_again(
    own_site: Site, any_redis: RedisServer, outcome: RedkeepError | None
) -> None:
    any_redis.restart(**LASTING)
    end = nothing if outcome is None else raising(outcome)
    with pytest.raises(Again):
        own_site.run(after(any_redis.kill, end), slot=SLOT)
    any_redis.restart()
    own_site.dies()
    assert own_site.read().state == "died"
    assert own_site.run(figures, slot=SLOT)["outcome"] == "succeeded"
    assert own_site.read().state == "succeeded"



"""How a run ends, with tiny pieces of work and a real control Redis."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest
from celery.exceptions import SoftTimeLimitExceeded
from rig.installations import settings as installation
from rig.redis_servers import RedisServer
from rig.site import SLOT, Site, figures, nothing, raising

from tasks import job
from tasks.control import connect
from tasks.errors import (
    BucketMissing,
    SaveFailed,
    ServerAuthFailed,
    ServerLoading,
    ServerUnreachable,
    StoreFailed,
    StoreUnreachable,
    TimeLimitExceeded,
    Unexpected,
)
from tasks.job import Again, Job, Ticket
from tasks.job.frame import TRIES
from tasks.server import Server
from tasks.slot import ROUTINELY

# -- how runs end ----------------------------------------------------------------------------------------


def test_a_run_that_succeeds_says_so_and_leaves_nothing_held(site: Site) -> None:
    result = site.run(figures, slot=SLOT)
    assert (result["outcome"], result["figures"], result["slot"]) == ("succeeded", {"bytes": 7}, SLOT)
    assert set(result["phases"]) == {"wait", "ship"}
    assert result == site.read().result()
    assert site.held() == []
    assert site.client.hget(site.names.slot(SLOT), "state") == "committed"
    assert int(site.read().get("fence")) > 10**15


def test_the_work_holds_the_lease_of_its_target_and_host(site: Site) -> None:
    seen: dict[str, str] = {}

    def work(running: Job) -> None:
        for resource in ("target:main", "host:db1"):
            seen[resource] = site.client.hget(site.lease(resource), "token")
        running.prove()
        assert running.fence == int(site.client.hget(site.lease(), "fence"))
        assert site.read().state == "running"

    site.run(work)
    assert set(seen.values()) == {f"r1:{site.raw()['nonce']}"}


def test_a_slot_that_is_done_is_skipped(site: Site) -> None:
    site.run(nothing, "r1", slot=SLOT)
    result = site.run(raising(AssertionError()), "r2", slot=SLOT)
    assert result["outcome"] == "skipped"
    assert result["error"]["name"] == "slot-committed"
    assert "run r1" in result["error"]["message"]


def test_a_pause_of_everything_does_not_stop_who_watches(site: Site) -> None:
    site.client.hset(site.names.paused("main"), "*", "moving house")
    slot = "tasks.watch/main/2026-11-23T11:05Z"
    ticket = Ticket("w1", "tasks.watch", "main", slot=slot)
    assert job.run(nothing, ticket, site.settings, site.settings.target[0])["outcome"] == "succeeded"
    site.client.hset(site.names.paused("main"), "tasks.watch", "by name")
    again = replace(ticket, run_id="w2", slot=f"{slot}x")
    assert job.run(nothing, again, site.settings, site.settings.target[0])["outcome"] == "skipped"
    assert 0 < site.client.ttl(site.names.slot(slot)) <= ROUTINELY


@pytest.mark.parametrize("paused", ["tasks.backup", "*"])
def test_what_the_schedule_sends_to_a_paused_target_is_skipped_and_a_run_by_hand_is_not(
    site: Site, paused: str
) -> None:
    site.client.hset(site.names.paused("main"), paused, "moving house")
    result = site.run(raising(AssertionError()), "r1", slot=SLOT)
    assert (result["outcome"], result["error"]["name"]) == ("skipped", "paused")
    assert "moving house" in result["error"]["message"]
    assert not site.client.exists(site.names.slot(SLOT))
    assert site.run(nothing, "r2")["outcome"] == "succeeded"
    assert site.run(nothing, "r3", target="far", slot=SLOT.replace("main", "far"))["outcome"] == "succeeded"


def test_an_error_of_ours_is_recorded_with_its_code_and_hint(site: Site) -> None:
    error = BucketMissing("no bucket named 'x'", detail="HTTP 404")
    with pytest.raises(BucketMissing):
        site.run(raising(error), slot=SLOT)
    assert (site.read().state, site.read().get("error")) == ("failed", error.as_dict())
    assert site.held() == []
    assert not site.client.exists(site.names.slot(SLOT)), "another run may do the slot"


def test_an_unforeseen_error_is_recorded_as_such_and_its_text_is_not(site: Site) -> None:
    with pytest.raises(Unexpected) as caught:
        site.run(raising(ValueError("redis://:hunter2@h")))
    assert str(caught.value) == "an unforeseen ValueError"
    assert site.read().get("error")["code"] == 99
    assert site.held() == []


def test_a_run_that_took_too_long_is_told_as_that(site: Site) -> None:
    with pytest.raises(TimeLimitExceeded):
        site.run(raising(SoftTimeLimitExceeded()))
    assert site.read().get("error")["name"] == "time-limit-exceeded"


def test_a_target_that_is_not_there_fails_with_a_record(site: Site) -> None:
    ticket = Ticket("r1", "tasks.backup", "mian", by="test")
    with pytest.raises(BucketMissing):
        job.run(raising(BucketMissing("x")), ticket, site.settings, None)
    assert (site.read().state, site.read().get("target")) == ("failed", "mian")


def test_warnings_are_kept_once_each(site: Site) -> None:
    def work(running: Job) -> None:
        for _ in range(3):
            running.warn("no checksum")
        running.warn("")

    site.run(work)
    assert site.read().get("warnings") == ["no checksum"]


# -- trying again ----------------------------------------------------------------------------------------


def test_a_failure_that_may_pass_is_tried_again_a_bounded_number_of_times(site: Site) -> None:
    error = StoreUnreachable("no answer")
    for tried in range(1, TRIES):
        with pytest.raises(Again) as again:
            site.run(raising(error), slot=SLOT)
        assert again.value.delay == site.settings.control.retry_delay
        record = site.read()
        assert (record.state, record.get("tries"), record.get("error")) == ("waiting", str(tried), error.as_dict())
        assert site.held() == []
    with pytest.raises(StoreUnreachable):
        site.run(raising(error), slot=SLOT)
    assert (site.read().state, site.read().get("error")) == ("failed", error.as_dict())


def test_a_failure_that_passed_leaves_no_error(site: Site) -> None:
    with pytest.raises(Again):
        site.run(raising(SaveFailed("x")))
    assert site.run(figures)["outcome"] == "succeeded"
    assert site.read().get("error") is None


def test_a_run_that_must_wait_is_tried_again_until_its_bound_and_then_deferred(site: Site) -> None:
    loading = ServerLoading("reading")
    for _ in range(TRIES + 3):
        with pytest.raises(Again):
            site.run(raising(loading))
        assert (site.read().state, site.read().get("tries")) == ("waiting", "0")
    since = float(site.raw()["waiting_since"])
    site.client.hset(site.names.run("r1"), "waiting_since", since - site.settings.control.defer_for)
    with pytest.raises(ServerLoading):
        site.run(raising(loading))
    assert (site.read().state, site.read().get("error")) == ("deferred", loading.as_dict())


def test_a_failed_try_ends_the_wait_so_that_the_next_wait_has_its_whole_bound(site: Site) -> None:
    with pytest.raises(Again):
        site.run(raising(ServerLoading("x")))
    site.client.hset(site.names.run("r1"), "waiting_since", "1000")
    with pytest.raises(Again):
        site.run(raising(StoreFailed("x")))
    with pytest.raises(Again):
        site.run(raising(ServerLoading("x")))
    assert site.read().state == "waiting"


# -- what is never written -------------------------------------------------------------------------------


def test_no_password_of_any_url_is_in_anything_that_a_run_writes(any_redis: RedisServer) -> None:
    password = any_redis.password = f"hunter{uuid.uuid4().hex}"
    any_redis.client(password=None).config_set("requirepass", password)
    urls = {
        "main": f"redis://ops:{password}@127.0.0.1:1",
        "far": any_redis.url.replace(password, password + "x"),
    }
    targets = {name: {"url": url} for name, url in urls.items()}
    settings = installation(any_redis.url, targets=targets, patience="10ms", visibility="2m")
    site = Site(settings, connect(settings.control))
    for name, error, kind in (("main", Again, ServerUnreachable), ("far", ServerAuthFailed, ServerAuthFailed)):

        def work(running: Job, url: str = urls[name]) -> None:
            with Server(url) as asked:
                asked.ask("PING")

        with pytest.raises(error) as caught:
            site.run(work, name, target=name)
        found = caught.value.__cause__ if error is Again else caught.value
        assert isinstance(found, kind)
        assert password not in repr(found.as_dict())
        assert site.read(name).get("error") == found.as_dict()
    for key in site.client.scan_iter("*"):
        assert password not in key
        if site.client.type(key) == "hash":
            assert password not in repr(site.client.hgetall(key))
    site.client.close()


def test_every_key_that_runs_leave_behind_ends_by_itself_but_the_fence(site: Site) -> None:
    site.run(figures, "r1", slot=SLOT)
    with pytest.raises(BucketMissing):
        site.run(raising(BucketMissing("x")), "r2")
    with pytest.raises(Again):
        site.run(raising(StoreFailed("x")), "r3")
    found = {key: site.client.ttl(key) for key in site.client.scan_iter(f"{site.settings.control.namespace}:*")}
    lasting = {key for key, ttl in found.items() if ttl < 0}
    assert lasting == {site.names.fence()}

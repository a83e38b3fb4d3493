"""A store or a worker that dies at each step of a backup: nothing half done counts, and the next attempt cleans up."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from itertools import chain, repeat

import pytest
from rig import s3
from rig.faulty_s3 import LOST, RESET, Answer, Fault, Proxy, faulty
from rig.keep import Attempt, Keep, eventually
from rig.redis_servers import RedisServer, binary
from rig.saving import await_quiet, fill_slow, forks, settings_are_back
from rig.whole import assert_no_phantom, assert_whole

from tasks.errors import StoreFailed, StoreUnreachable

MakeKeep = Callable[..., Keep]
pytestmark = pytest.mark.usefixtures("hasty")
BUSY = Answer(503, "SlowDown")
NAMES = {BUSY: "busy", RESET: "reset", LOST: "lost"}


@pytest.fixture(scope="module")
def site() -> Iterator[RedisServer]:
    """Nine megabytes that nobody changes: two parts."""
    flavour = next(each for each in ("redis7", "valkey9", "redis8") if binary(each) is not None)
    with RedisServer(flavour, repl_diskless_sync="yes", repl_diskless_sync_delay=0) as server:
        fill_slow(server, 0, keys=30, size=300_000)
        yield server


@pytest.fixture
def proxy(moto: s3.Server) -> Iterator[Proxy]:
    with faulty(moto.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def installed(site: RedisServer, keep: MakeKeep, moto: s3.Server, bucket: str, proxy: Proxy) -> Callable[..., Keep]:
    """An installation whose store is behind the proxy; the test looks at it from the other side."""

    def made(**options: object) -> Keep:
        place = {"store_url": bucket, "endpoint_url": proxy.endpoint_url, "behind": moto.endpoint_url}
        return keep(site, **place | {"control": {"lease_ttl": "1s"}} | options)

    return made


def assert_nothing_came_of_it(ours: Keep, attempt: Attempt, site: RedisServer) -> None:
    assert attempt.error is not None
    assert attempt.shown == attempt.error.as_dict(), "the first error is the one shown"
    assert attempt.manifest is None
    assert ours.left() == []
    assert ours.lease_holder() is None
    assert settings_are_back(site)
    assert_no_phantom(site)


def assert_one_backup(ours: Keep, attempt: Attempt, site: RedisServer) -> None:
    assert_whole(ours, attempt, site)
    assert attempt.manifest is not None
    names = [f"main/manifests/{attempt.manifest.id}.json", attempt.manifest.object.key]
    assert sorted(ours.left()) == sorted(names)


# -- the store dies ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "fault", "source"),
    [
        ("create", BUSY, "follow"),
        ("part", BUSY, "stream"),
        ("part", RESET, "follow"),
        ("complete", BUSY, "follow"),
        ("complete", RESET, "stream"),
        ("put", BUSY, "follow"),
        ("put", RESET, "follow"),
    ],
    ids=lambda value: NAMES.get(value, value),
)
def test_a_step_that_fails_for_good_leaves_nothing_and_the_next_attempt_succeeds(
    site: RedisServer, installed: MakeKeep, proxy: Proxy, source: str, operation: str, fault: Fault
) -> None:
    ours = installed(source=source)
    proxy.faults[operation] = repeat(fault)
    attempt = ours.attempt()
    assert isinstance(attempt.error, StoreUnreachable if fault is RESET else StoreFailed)
    assert attempt.state == "waiting"
    assert_nothing_came_of_it(ours, attempt, site)
    proxy.faults[operation] = iter(())
    assert_one_backup(ours, ours.attempt(attempt.run_id), site)


@pytest.mark.parametrize(
    ("operation", "fault"),
    [
        ("head", RESET),
        ("create", LOST),
        ("part", BUSY),
        ("part", LOST),
        ("complete", RESET),
        ("complete", LOST),
        ("put", BUSY),
        ("put", LOST),
    ],
    ids=lambda value: NAMES.get(value, value),
)
def test_a_step_that_fails_once_is_repeated_and_makes_one_backup(
    site: RedisServer, installed: MakeKeep, proxy: Proxy, operation: str, fault: Fault
) -> None:
    ours = installed(source="follow")
    proxy.faults[operation] = iter([fault])
    assert_one_backup(ours, ours.attempt(), site)


def test_a_manifest_that_was_written_while_all_its_replies_were_lost_is_found_by_the_next_attempt(
    site: RedisServer, installed: MakeKeep, proxy: Proxy
) -> None:
    """The store holds a backup, and the run cannot know: the object must stay."""
    ours = installed(source="follow")
    heads: list[Fault] = [None, None, None]  # the manifest's, the bucket's, the manifest's again
    proxy.faults["put"] = repeat(LOST)
    proxy.faults["head"] = chain(heads, repeat(RESET))
    attempt = ours.attempt()
    assert isinstance(attempt.error, StoreUnreachable)
    assert len(ours.manifests()) == 1
    proxy.faults.clear()
    before = forks(site)
    assert_one_backup(ours, ours.attempt(attempt.run_id), site)
    assert forks(site) == before


def test_what_could_not_be_taken_back_is_told_and_taken_by_the_next_attempt(
    site: RedisServer, installed: MakeKeep, proxy: Proxy
) -> None:
    """The store goes away altogether: between the snapshot and its manifest."""
    ours = installed(source="follow")
    gone: Iterator[Fault] = repeat(RESET)
    proxy.faults["put"] = proxy.faults["delete"] = gone
    attempt = ours.attempt()
    assert isinstance(attempt.error, StoreUnreachable)
    (left,) = ours.left()
    assert left.startswith("main/snapshots/")
    assert any(left in each and "may have been left" in each for each in attempt.warnings)
    proxy.faults.clear()
    assert_one_backup(ours, ours.attempt(attempt.run_id), site)


def test_an_upload_whose_abort_failed_is_taken_by_the_next_attempt(
    site: RedisServer, installed: MakeKeep, proxy: Proxy
) -> None:
    ours = installed(source="follow")
    proxy.faults["part"] = proxy.faults["abort"] = repeat(BUSY)
    attempt = ours.attempt()
    assert isinstance(attempt.error, StoreFailed)
    (left,) = ours.left()
    assert left.startswith("upload of main/snapshots/")
    proxy.faults.clear()
    assert_one_backup(ours, ours.attempt(attempt.run_id), site)


# -- the worker dies --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "source"), [("part", "follow"), ("part", "stream"), ("complete", "follow"), ("put", "follow")]
)
def test_what_a_killed_worker_left_is_taken_by_the_next_attempt_of_its_run(
    site: RedisServer, installed: MakeKeep, proxy: Proxy, source: str, operation: str
) -> None:
    ours = installed(source=source)
    reached, killed = threading.Event(), threading.Event()

    def hold() -> Iterator[Fault]:
        if operation == "part":
            yield None  # so that there is something to be left
        reached.set()
        killed.wait()
        yield RESET

    proxy.faults[operation] = hold()
    worker = ours.process("killed")
    assert reached.wait(30)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    killed.set()
    proxy.faults.clear()
    assert ours.manifests() == []
    (left,) = ours.left()
    assert left.startswith("main/snapshots/" if operation == "put" else "upload of main/snapshots/")
    await_quiet(site)
    assert settings_are_back(site)
    attempt = eventually(lambda: ours.attempt_if_free("killed"))
    assert_one_backup(ours, attempt, site)
    assert [each["outcome"] for each in attempt.record.get("attempts")] == ["died"]


def test_a_worker_killed_right_after_its_commit_has_made_a_backup_that_stays(
    site: RedisServer, installed: MakeKeep, proxy: Proxy
) -> None:
    """The record still says that its object is being written; the manifest says that it is a backup."""
    ours = installed(source="follow")
    written, killed = threading.Event(), threading.Event()

    def hold() -> Iterator[Fault]:
        yield LOST
        written.set()  # it asks again: the first one has arrived
        killed.wait()
        yield RESET

    proxy.faults["put"] = hold()
    worker = ours.process("committed")
    assert written.wait(30)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    killed.set()
    proxy.faults.clear()
    (manifest,) = ours.manifests()
    before = forks(site)
    attempt = eventually(lambda: ours.attempt_if_free("committed"))
    assert attempt.manifest == manifest
    assert_one_backup(ours, attempt, site)
    assert forks(site) == before

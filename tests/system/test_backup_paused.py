"""A worker that is paused for longer than all its leases, before each of its exchanges with the store in turn, while
another takes its run or its slot over. Whichever of the two commits, there is one backup, and it is whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from rig.keep import Keep
from rig.paused import PausedBackup
from rig.redis_servers import RedisServer

from tasks.control import connect
from tasks.names import Keys

SLOT = "tasks.backup/main/2026-11-23T11:07Z"
EXCHANGES = range(4)
"""A backup into a folder has three; the last of these sees a run that ends before it is paused."""
EXCHANGES_AFTER_ANOTHER = range(9)
"""The same of one that finds what another attempt has left."""


@pytest.fixture(scope="module")
def site() -> Iterator[RedisServer]:
    with RedisServer("redis7") as server:
        server.client().mset({f"key:{number}": number for number in range(1000)})
        yield server


def time_passes(keep: Keep, run_id: str) -> None:
    """What the paused worker held by renewal is gone."""
    client, names = connect(keep.settings.control), Keys(keep.settings.control.namespace)
    client.delete(names.lease("target:main"), names.slot(SLOT), names.alive(run_id))
    client.close()


def settled(keep: Keep, run_id: str) -> None:
    """The run is delivered until its record has an end, as Celery would."""
    for _ in range(5):
        state = keep.attempt(run_id, slot=SLOT).state
        if state in ("succeeded", "skipped"):
            return
    raise AssertionError(f"run {run_id} is still {state}")


def one_whole_backup(keep: Keep) -> None:
    (manifest,) = keep.manifests()
    assert keep.open(manifest).read_bytes().startswith(b"REDIS0")
    assert keep.left() == sorted([manifest.object.key, f"main/manifests/{manifest.id}.json"])
    assert keep.lease_holder() is None


@pytest.mark.parametrize("before", EXCHANGES)
@pytest.mark.parametrize("other", ["the same run", "another beat's"])
def test_one_that_wakes_up_after_another_took_over_breaks_nothing(
    site: RedisServer, keep: Callable[..., Keep], before: int, other: str
) -> None:
    ours = keep(site, source="follow")
    paused = PausedBackup(ours, "first", SLOT, before=before)
    if paused.paused:
        time_passes(ours, "first")
        settled(ours, "first" if other == "the same run" else "second")
        paused.go_on()
    settled(ours, "first")
    one_whole_backup(ours)


@pytest.mark.parametrize("first", EXCHANGES[:-1])
@pytest.mark.parametrize("second", EXCHANGES_AFTER_ANOTHER)
def test_two_attempts_that_are_paused_in_turn_leave_one_whole_backup(
    site: RedisServer, keep: Callable[..., Keep], first: int, second: int
) -> None:
    """The first wakes up while the second, which took the run over, is paused itself; that one then goes on."""
    ours = keep(site, source="follow")
    one = PausedBackup(ours, "first", SLOT, before=first)
    time_passes(ours, "first")
    two = PausedBackup(ours, "first", SLOT, before=second)
    time_passes(ours, "first")
    one.go_on()
    if two.paused:
        two.go_on()
    settled(ours, "first")
    one_whole_backup(ours)


@pytest.mark.parametrize("before", EXCHANGES)
def test_one_that_is_killed_there_is_followed_by_its_own_run(
    site: RedisServer, keep: Callable[..., Keep], before: int
) -> None:
    ours = keep(site, source="follow")
    paused = PausedBackup(ours, "first", SLOT, before=before)
    if paused.paused:
        paused.kill()
        time_passes(ours, "first")
    settled(ours, "first")
    one_whole_backup(ours)


def test_the_last_of_these_pauses_is_past_the_end(site: RedisServer, keep: Callable[..., Keep]) -> None:
    ours = keep(site, source="follow")
    assert not PausedBackup(ours, "first", SLOT, before=EXCHANGES[-1]).paused
    assert PausedBackup(keep(site, source="follow"), "first", SLOT, before=EXCHANGES[-2]).paused

"""Every order of steps, deaths, second deliveries and ended keys, searched through: at most one backup a slot, a whole
one, and one in the end if any worker lives. `make faults` searches further than `make test`."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rig.redis_servers import RedisServer
from rig.site import LASTING

from model.protocol import FINAL, Faults, Protocol, World, abandoned
from model.real import Real, expected, store_in
from tasks.control import connect
from tasks.settings.models import Control

FAR = bool(os.environ.get("REDKEEP_FAULTS"))
SEARCHED = Faults(deaths=1, ends=2, copies=1) if FAR else Faults(deaths=1, ends=1, copies=1)
BROUGHT_TO_REST = [Faults(1, 1, 1)] if FAR else [Faults(1, 1, 0), Faults(0, 1, 1)]
MOST_ATTEMPTS = 4
How = dict[World, tuple[World | None, str]]


def explored(protocol: Protocol, faults: Faults, until: Callable[[World], bool] = lambda _: False) -> How:
    """Every world that can come about, breadth first, and how: the world before it and what happened there. Ends early
    with a world that is looked for, which then is the last one."""
    first = World(faults)
    seen: How = {first: (None, "the beginning")}
    todo = deque([first])
    while todo:
        world = todo.popleft()
        for what, after in (*protocol.fair(world), *protocol.faults(world)):
            if after not in seen and len(after.attempts) <= MOST_ATTEMPTS:
                seen[after] = (world, what)
                todo.append(after)
                if until(after):
                    return seen
    return seen


def story(seen: How, world: World) -> list[str]:
    told: list[str] = []
    at: World | None = world
    while at is not None:
        at, what = seen[at]
        told.append(what)
    return told[::-1]


def broken(world: World) -> bool:
    """A manifest whose object is not there."""
    return world.manifest is not None and world.manifest.attempt not in world.objects


def settled(protocol: Protocol, world: World) -> World:
    """No fault any more, and keys that nobody renews end: where that comes to rest."""
    for _ in range(300):
        world = abandoned(world)
        after = next((after for _, after in protocol.fair(world) if abandoned(after) != world), None)
        if after is None:
            return world
        world = after
    raise AssertionError("it does not come to rest")


# -- the search --------------------------------------------------------------------------------------------------------


@pytest.mark.timeout(900)
def test_a_slot_gets_at_most_one_backup_and_that_one_is_whole_at_every_moment() -> None:
    seen = explored(Protocol(), SEARCHED)
    assert len(seen) > 100_000
    wrong = next((world for world in seen if world.commits > 1 or broken(world)), None)
    assert wrong is None, story(seen, wrong)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("faults", BROUGHT_TO_REST, ids=str)
def test_whatever_happened_one_backup_comes_of_it_and_every_run_ends(faults: Faults) -> None:
    protocol = Protocol()
    seen = explored(protocol, faults)
    for world in seen:
        end = settled(protocol, world)
        assert end.commits == 1, story(seen, world)
        assert not end.queue, story(seen, world)
        assert end.lease < 0, story(seen, world)
        assert all(record.state in FINAL for record in end.records), story(seen, world)


def test_without_faults_nothing_is_left_beside_the_backup() -> None:
    protocol = Protocol()
    seen = explored(protocol, Faults(0, 0, 1))
    ends = [world for world in seen if not any(True for _ in protocol.fair(world))]
    assert ends
    assert all(world.objects == {world.manifest.attempt} for world in ends if world.manifest)


def test_the_search_finds_what_is_wrong_with_clearing_up_before_the_commit() -> None:
    """An attempt that is only paused may still commit; what it wrote must stand until another manifest does."""
    seen = explored(Protocol(leftover_first=True), Faults(0, 2, 1), until=broken)
    found = next(reversed(seen))
    assert broken(found)
    assert story(seen, found)[-1] == "attempt 0: commit"


def test_the_search_finds_what_a_store_without_conditions_cannot_promise() -> None:
    """docs/reliability.md says what still protects the data there."""
    seen = explored(Protocol(conditional=False), Faults(0, 2, 0), until=lambda world: world.commits > 1)
    assert next(reversed(seen)).commits == 2


# -- the model against the code ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def control() -> Iterator[RedisServer]:
    with RedisServer("redis7", **LASTING | {"appendonly": "no"}) as server:
        yield server


NUMBERS = count()


@settings(
    max_examples=400 if FAR else 60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_redkeep_takes_every_step_as_the_model_does(control: RedisServer, tmp_path: Path, data: st.DataObject) -> None:
    number = next(NUMBERS)
    told = Control.model_validate({"url": control.url, "namespace": f"walk{number}"})
    folder = tmp_path / str(number)
    folder.mkdir()
    client = connect(told)
    real, protocol, world = Real(client, told, store_in(folder)), Protocol(), World(Faults(1, 2, 1))
    try:
        for _ in range(60):
            events = [*protocol.fair(world), *protocol.faults(world)]
            if not events:
                break
            what, after = data.draw(st.sampled_from(events))
            real.take(what, world, after)
            world = after
            assert real.seen() == expected(world), what
    finally:
        client.close()

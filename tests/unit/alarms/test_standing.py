"""The alarms that stand in the control Redis, under two that look at once and what somebody else wrote there."""

from __future__ import annotations

import pytest

from tasks.alarms import Alarm, Alarms, Change, Standing, course
from tasks.control import Client
from tasks.names import Keys

FAILED = Alarm("backup", "backup failed", certain=True)


@pytest.fixture
def alarms(client: Client, names: Keys) -> Alarms:
    return Alarms(client, names, "main")


def step(alarms: Alarms, found: list[Alarm], now: float) -> list[Change]:
    return course(alarms.read(), found, now)


def test_what_is_settled_is_read_again_and_does_not_stay_for_ever(
    alarms: Alarms, client: Client, names: Keys
) -> None:
    (raised,) = step(alarms, [FAILED], 1000.5)
    assert alarms.settle(raised, told=True)
    assert alarms.read() == {"backup": Standing("backup", "backup failed", "", True, 1000.5, 1000.5, 1000.5)}
    assert 0 < client.ttl(names.alarms("main")) <= 7 * 86_400
    (over,) = step(alarms, [], 1300.0)
    assert alarms.settle(over, told=True)
    assert alarms.read() == {}


def test_of_two_that_looked_at_the_same_moment_one_takes_the_step(alarms: Alarms) -> None:
    (one,), (other,) = (step(alarms, [FAILED], now) for now in (1000.0, 1001.0))
    assert [alarms.settle(each, told=True) for each in (one, other)] == [True, False]
    assert alarms.read()["backup"].since == 1000.0
    ends = [step(alarms, [], 2000.0)[0] for _ in range(2)]
    assert [alarms.settle(each, told=True) for each in ends] == [True, False]


def test_what_could_not_be_told_stands_as_untold(alarms: Alarms) -> None:
    (raised,) = step(alarms, [FAILED], 1000.0)
    assert alarms.settle(raised, told=False)
    assert alarms.read()["backup"].told is None
    (again,) = step(alarms, [FAILED], 1300.0)
    assert (again.event, again.subject.since) == ("raised", 1000.0)


def test_a_lost_control_redis_has_the_alarm_raised_again(alarms: Alarms, client: Client, names: Keys) -> None:
    (raised,) = step(alarms, [FAILED], 1000.0)
    alarms.settle(raised, told=True)
    client.delete(names.alarms("main"))
    (again,) = step(alarms, [FAILED], 1300.0)
    assert again.event == "raised"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "backup"}', '{"kind": "other", "words": 1}', "null"])
def test_what_cannot_be_read_is_as_good_as_lost(alarms: Alarms, client: Client, names: Keys, text: str) -> None:
    client.hset(names.alarms("main"), "backup", text)
    (raised,) = step(alarms, [FAILED], 1000.0)
    assert raised.event == "raised"
    assert alarms.settle(raised, told=True)

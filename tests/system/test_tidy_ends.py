"""How a run of tidy ends where something else comes in between, and how the next one goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import Future

from rig.keep import Attempt, Keep, eventually
from rig.redis_servers import RedisServer
from rig.saving import slow_down

from tasks.control import connect
from tasks.errors import LeaseLost, RunUnknown
from tasks.names import Keys

MakeKeep = Callable[..., Keep]
EVERYTHING = """
[target.tidy]
[[target.tidy.rule]]
name = "all of it"
match = "k:*"
action = "delete"
"""


def waiting(server: RedisServer, ours: Keep, run_id: str) -> Future[Attempt]:
    """A run of tidy that has begun and waits for a save of three seconds."""
    client = server.client()
    client.mset({f"k:{number}": "x" for number in range(500)} | {f"o:{number}": "x" for number in range(2500)})
    ours.attempt()
    slow_down(server, 0.001)
    client.bgsave()
    slow_down(server, 0)  # for the saves that come after it
    running = ours.started(run_id, task="tidy", dry_run=False)
    eventually(lambda: phase_of(ours, run_id) == "sweep")
    return running


def phase_of(ours: Keep, run_id: str) -> str:
    try:
        return str(ours.record(run_id).get("progress", {}).get("phase", ""))
    except RunUnknown:
        return ""


def test_a_waiting_backup_goes_before_it_and_the_next_run_goes_on(any_redis: RedisServer, keep: MakeKeep) -> None:
    ours = keep(any_redis, tidy=EVERYTHING, control={"patience": "30s"})
    running = waiting(any_redis, ours, "t1")
    backup = ours.started("b1")
    first = running.result(20)
    assert first.state == "succeeded"
    assert first.record.get("figures")["ended"] == "gave way"
    assert backup.result(30).state == "succeeded"
    assert ours.verb("tidy").record.get("figures")["ended"] == "through"
    assert any_redis.client().keys("k:*") == []


def test_a_lease_that_is_lost_in_the_middle_stops_it(any_redis: RedisServer, keep: MakeKeep) -> None:
    ours = keep(any_redis, tidy=EVERYTHING, control={"lease_ttl": "2s"})
    running = waiting(any_redis, ours, "t1")
    control = connect(ours.settings.control)
    control.hset(Keys(ours.settings.control.namespace).lease("target:main"), "token", "somebody else's")
    control.close()
    done = running.result(20)
    assert isinstance(done.error, LeaseLost)
    assert len(any_redis.client().keys("k:*")) == 500


def test_a_run_whose_time_is_over_says_so_and_keeps_its_place(any_redis: RedisServer, keep: MakeKeep) -> None:
    ours = keep(any_redis, tidy=EVERYTHING.replace("[target.tidy]", '[target.tidy]\ntime_budget = "1s"'))
    done = waiting(any_redis, ours, "t1").result(20)
    figures = done.record.get("figures")
    assert (done.state, figures["ended"], figures["met"]) == ("succeeded", "out of time", 0)
    assert figures["seconds_waited"]["forks"] > 0
    control = connect(ours.settings.control)
    kept = json.loads(control.hget(Keys(ours.settings.control.namespace).tidy("main"), "place") or "{}")
    control.close()
    assert (kept["database"], kept["cursor"]) == (0, "0")

"""Nobody who uses a key loses it to a sweep; and a sweep that must stop does, and goes on from there."""

from __future__ import annotations

import random
import threading
import time

import pytest
from rig.idle import aged
from rig.redis_servers import RedisServer
from rig.sweeps import HOUR, figures, left, policy, swept

from tasks.errors import RunCancelled, ServerUnreachable, ShareExceeded
from tasks.pace import Pace
from tasks.server import Server
from tasks.tidy.safety import time_of
from tasks.tidy.sweep import Place, Sweep

# -- nobody who uses a key loses it -----------------------------------------------------------------------------------


def test_a_key_that_is_touched_after_it_was_judged_stays(redis_server: RedisServer) -> None:
    """Judged in one step, removed in another; what happens in between is seen by the second."""
    client = redis_server.client()
    for name in ("read", "written", "expiring", "untouched"):
        client.set(name, "x")
    aged(client, ["read", "written", "expiring", "untouched"], 5 * HOUR)
    steps = iter(range(100))

    def between() -> None:
        if next(steps) == 1:  # after the first piece was looked at, before anything is done
            client.get("read")
            client.set("written", "y")
            client.expire("expiring", 100)

    told = figures(
        swept(
            redis_server,
            policy({"match": "*", "i_mean_it": True, "idle": "4h", "ttl": "none"}),
            checkpoint=between,
        )
    )
    assert left(redis_server) == {b"read", b"written", b"expiring"}
    assert (told["rule 1"]["matched"], told["rule 1"]["removed"], told["rule 1"]["changed"]) == (4, 1, 3)


def test_no_key_goes_that_a_client_has_found_there(redis_server: RedisServer) -> None:
    """Clients use random keys all the while. Whatever one of them was answered about a living key, that key lives."""
    client, keys = redis_server.client(), [f"k:{number}" for number in range(4000)]
    client.mset(dict.fromkeys(keys, "x"))
    script = "for _, key in ipairs(KEYS) do redis.call('RESTORE', key, 0, ARGV[1], 'REPLACE', 'IDLETIME', 18000) end"
    client.eval(script, len(keys), *keys, client.dump(keys[0]))
    found: set[str] = set()
    over = threading.Event()

    def use(seed: int) -> None:
        rng, ours = random.Random(seed), redis_server.client()
        while not over.is_set():
            key = rng.choice(keys)
            answers = (ours.get(key), ours.set(key, "y", xx=True), ours.expire(key, 10_000), ours.append(key, ""))
            if any(answers[: rng.randrange(1, 4)]):  # APPEND makes a key anew, which counts as well
                found.add(key)
            if answers[3] or ours.exists(key):
                found.add(key)

    users = [threading.Thread(target=use, args=(seed,)) for seed in range(3)]
    for user in users:
        user.start()
    try:
        told = figures(swept(redis_server, policy({"match": "k:*", "idle": "4h"})))["rule 1"]
    finally:
        over.set()
        for user in users:
            user.join()
    alive = {key.decode() for key in left(redis_server)}
    assert found <= alive
    assert told["removed"] > 0
    assert told["removed"] + len(alive) >= len(keys) - told["changed"]


# -- stopping and going on --------------------------------------------------------------------------------------------


def test_a_sweep_whose_time_is_over_goes_on_where_it_stopped(redis_server: RedisServer) -> None:
    for database in (0, 2):
        client = redis_server.client(db=database)
        client.mset({f"k:{number}": "x" for number in range(3000)})
    rules = policy({"match": "k:*", "ttl": "none"})
    place: Place | None = None
    met, rounds = 0, 0
    while rounds == 0 or place is not None:
        questions = iter([False] * 5)
        sweep = swept(redis_server, rules, must_end=lambda questions=questions: next(questions, True), place=place)
        met, place, rounds = met + sweep.met, sweep.place, rounds + 1
    assert rounds > 3
    assert (left(redis_server), left(redis_server, 2)) == (set(), set())
    assert met == 6000, "nothing was counted twice"


def test_a_sweep_that_has_no_time_does_nothing(any_redis: RedisServer) -> None:
    any_redis.client().set("k:1", "x")
    sweep = swept(any_redis, policy({"match": "k:*"}), seconds=0)
    assert (sweep.place, sweep.met, left(any_redis)) == (Place(0, b"0"), 0, {b"k:1"})


def test_a_cancel_in_the_middle_leaves_the_place_where_it_was(redis_server: RedisServer) -> None:
    redis_server.client().mset({f"k:{number}": "x" for number in range(3000)})
    steps = iter(range(10_000))

    def stop() -> None:
        if next(steps) == 7:
            raise RunCancelled("the run was cancelled")

    places: list[Place | None] = []
    with Server(redis_server.url) as ours, Server(redis_server.url) as beside:
        pace = Pace(beside, max_latency=5.0, until=time.monotonic() + 60, checkpoint=stop)
        sweep = Sweep(
            ours,
            pace,
            policy({"match": "k:*"}),
            time_of(ours),
            dry_run=False,
            most=1e9,
            report=lambda _: places.append(sweep.place),
        )
        with pytest.raises(RunCancelled):
            sweep.run()
    gone = 3000 - len(left(redis_server))
    assert 0 < gone < 3000
    assert sweep.place is not None


def test_a_server_that_dies_in_the_middle_is_said_to_be_away(any_redis: RedisServer) -> None:
    any_redis.client().mset({f"k:{number}": "x" for number in range(3000)})
    steps = iter(range(10_000))

    def kill() -> None:
        if next(steps) == 4:
            any_redis.kill()

    with pytest.raises(ServerUnreachable):
        swept(any_redis, policy({"match": "k:*"}), checkpoint=kill)


def test_the_brake_stops_a_sweep_that_takes_more_than_was_estimated(any_redis: RedisServer) -> None:
    any_redis.client().mset({f"k:{number}": "x" for number in range(3000)})
    with pytest.raises(ShareExceeded, match="more than the estimated 500 keys"):
        swept(any_redis, policy({"match": "k:*"}), most=500)
    assert len(left(any_redis)) >= 2500


def test_nothing_is_asked_while_a_save_is_alive(redis_server: RedisServer) -> None:
    client = redis_server.client()
    client.mset({f"k:{number}": "x" for number in range(2000)})
    client.config_set("rdb-key-save-delay", 500)  # microseconds a key: a second
    client.bgsave()
    sweep = swept(redis_server, policy({"match": "k:*"}))
    assert sweep.pace.waited["forks"] > 0
    assert left(redis_server) == set()


def test_a_save_that_lasts_longer_than_the_time_there_is_leaves_all_as_it_was(redis_server: RedisServer) -> None:
    client = redis_server.client()
    client.mset({f"k:{number}": "x" for number in range(2000)})
    client.config_set("rdb-key-save-delay", 5000)
    client.bgsave()
    sweep = swept(redis_server, policy({"match": "k:*"}), seconds=0.1)
    assert (sweep.met, len(left(redis_server))) == (0, 2000)

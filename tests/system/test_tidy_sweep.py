"""The sweep on every server: what goes, what stays, and that nobody who uses a key loses it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from rig.idle import aged
from rig.page import RULES as ACL
from rig.page import without
from rig.redis_servers import RedisServer

from tasks import sample
from tasks.errors import RunCancelled, ServerDenied, ServerUnreachable, ShareExceeded
from tasks.facts import NEEDS
from tasks.pace import Pace
from tasks.server import Server
from tasks.settings.rules import Rule as Written
from tasks.settings.rules import Tidy
from tasks.tidy.policy import Policy, choose, compile_policy
from tasks.tidy.safety import estimate, time_of
from tasks.tidy.sweep import Place, Sweep

HOUR = 3600


def policy(*rules: dict[str, Any], protect: tuple[str, ...] = ()) -> Policy:
    named = ({"name": f"rule {number}", "action": "delete"} | rule for number, rule in enumerate(rules, 1))
    return compile_policy(Tidy(rule=[Written.model_validate(each) for each in named], protect=list(protect)), "redkeep")


def swept(
    server: RedisServer,
    rules: Policy,
    *,
    checkpoint: Callable[[], None] = lambda: None,
    must_end: Callable[[], bool] = lambda: False,
    seconds: float = 60.0,
    url: str = "",
    **given: Any,
) -> Sweep:
    """One sweep from its beginning or `place` until it ends."""
    with Server(url or server.url) as ours, Server(url or server.url) as beside:
        ours.touchless()
        until = time.monotonic() + seconds
        pace = Pace(beside, max_latency=5.0, until=until, checkpoint=checkpoint, must_end=must_end)
        facts: dict[str, Any] = {"dry_run": False, "most": 1e9, "report": lambda _: None}
        sweep = Sweep(ours, pace, rules, time_of(ours), **facts | given)
        sweep.run()
        return sweep


def figures(sweep: Sweep) -> dict[str, dict[str, Any]]:
    return {name: tally.figures(dry_run=sweep.dry_run) for name, tally in sweep.tallies.items()}


def left(server: RedisServer, database: int = 0) -> set[bytes]:
    return set(server.client(db=database).keys())


# -- conditions -------------------------------------------------------------------------------------------------------


def furnish(client: redis.Redis) -> None:
    """One key of each kind, of several ages."""
    client.set(b"a:\xff\x00", "x" * 3000)
    client.set("a:short", "x")
    client.set("a:going", "x", px=7_200_000)
    client.rpush("a:list", *range(50))
    client.hset("a:hash", mapping={str(n): n for n in range(30)})
    client.sadd("b:set", *range(3))
    client.zadd("b:zset", {str(n): n for n in range(20)})
    client.xadd("b:stream", {"f": "v"})
    client.set("b:20200131", "x")
    client.set("b:20209931", "x")
    client.set("config:a", "x")
    aged(client, [b"a:\xff\x00", "a:list", "b:set", "config:a"], 5 * HOUR)


RULES: list[dict[str, Any]] = [
    {"match": "a:*", "idle": "4h"},
    {"match": "*", "i_mean_it": True, "type": "zset"},
    {"match": "a:*", "ttl": "none", "size": {"elements": 10}},
    {"match": "?:[12]*", "stamp": {"regex": ":([0-9]{8})$", "format": "%Y%m%d", "older_than": "90d"}},
    {"match": "*", "i_mean_it": True, "size": {"bytes": "2KiB"}},
    {"match": "a:*", "action": {"expire_in": "1h"}},
]


@pytest.mark.parametrize("chosen", [[0], [1], [2], [3], [4], [5], [0, 5], [3, 4, 1], [0, 1, 3, 4]])
def test_the_sweep_takes_exactly_what_the_policy_picks_by_all_the_facts(
    redis_server: RedisServer, chosen: list[int]
) -> None:
    furnish(redis_server.client())
    rules = policy(*(RULES[number] for number in chosen), protect=("config:*",))
    with Server(redis_server.url) as ours:
        now = time_of(ours)
        needs = NEEDS - {"elements"} if chosen != [2] else NEEDS
        everything = sample.take(ours, 100, needs).draws
    picked = {each.key for each in everything if (rule := choose(each, rules, now)) and rule.action.kind == "delete"}
    before = left(redis_server)
    dry = swept(redis_server, rules, dry_run=True)
    assert left(redis_server) == before
    real = swept(redis_server, rules)
    assert before - left(redis_server) == picked
    assert sum(each["matched"] for each in figures(dry).values()) == sum(each.matched for each in real.tallies.values())
    assert all(tally.done == tally.matched for tally in real.tallies.values())
    assert real.place is None


def test_each_rule_says_what_it_saw_and_why(redis_server: RedisServer) -> None:
    furnish(redis_server.client())
    told = figures(swept(redis_server, policy(RULES[0], RULES[3]), dry_run=True))
    assert (told["rule 1"]["seen"], told["rule 1"]["matched"], told["rule 1"]["removed"]) == (5, 2, 0)
    assert 3000 < told["rule 1"]["bytes"] < 10_000
    said = told["rule 1"]["examples"]
    assert any(each.startswith(r"a:\xff\x00: it is called a:*, was not used for 5") for each in said)
    assert (told["rule 2"]["seen"], told["rule 2"]["unread"], told["rule 2"]["matched"]) == (2, 1, 1)


def test_rarely_used_keys_go_by_their_counter_under_an_lfu_policy(redis_server: RedisServer) -> None:
    client = redis_server.client()
    client.config_set("maxmemory-policy", "allkeys-lfu")
    client.set("often", "text")  # a small number is one object for all keys that hold it
    client.set("seldom", "text")
    client.restore("seldom", 0, client.dump("seldom"), replace=True, frequency=1)
    swept(redis_server, policy({"match": "*", "i_mean_it": True, "freq": 2}))
    assert left(redis_server) == {b"often"}


def test_every_database_is_swept_that_a_rule_is_for(redis_server: RedisServer) -> None:
    for database in (0, 3, 7):
        redis_server.client(db=database).set("a:1", 1)
    swept(redis_server, policy({"match": "a:*", "databases": [3, 7, 12]}))
    assert [bool(left(redis_server, database)) for database in (0, 3, 7)] == [True, False, False]


def test_an_expiry_is_set_once_and_never_pushed_away(redis_server: RedisServer) -> None:
    client = redis_server.client()
    client.set("a:1", 1)
    client.set("a:2", 1, px=10_000)
    rules = policy({"match": "a:*", "action": {"expire_in": "1h"}})
    first = figures(swept(redis_server, rules))["rule 1"]
    ends = client.execute_command("PTTL", "a:1")
    second = figures(swept(redis_server, rules))["rule 1"]
    assert (first["removed"], second["removed"]) == (1, 0)
    assert 0 < client.pttl("a:1") <= ends <= 3_600_000
    assert client.pttl("a:2") <= 10_000


def test_a_small_number_that_many_keys_share_tells_no_idle_time(redis_server: RedisServer) -> None:
    """Before 8.2 all keys that hold 1 are one object: a key written just now looks as old as that object's last use."""
    client = redis_server.client()
    client.set("fresh", 1)
    client.set("old", 1)
    aged(client, ["old"], 5 * HOUR)
    rules = policy({"match": "*", "i_mean_it": True, "idle": "4h"})
    sweep = swept(redis_server, rules)
    assert b"fresh" in left(redis_server)
    client.set("old", 1)
    aged(client, ["old"], 5 * HOUR)
    with Server(redis_server.url) as ours:
        _, share = estimate(ours, rules, time_of(ours), lambda: None)
    assert share.value * 2 == sweep.tallies["rule 1"].done, "the estimate knows it, too"


def test_a_user_with_the_rights_that_the_documentation_lists_can_do_all_of_it(redis_server: RedisServer) -> None:
    furnish(redis_server.client())
    rules = [*RULES, {"match": "b:zset", "type": "zset", "action": {"trim_to": 2}}]
    redis_server.client().execute_command("ACL", "SETUSER", "redkeep", "on", ">secret", *ACL["tidy"].split())
    url = redis_server.url.replace("redis://", "redis://redkeep:secret@")
    assert swept(redis_server, policy(*rules), url=url).place is None


@pytest.mark.parametrize("missing", ["+object", "+unlink", "+eval", "+scan"])
def test_a_right_that_is_missing_is_named_where_the_server_names_it(redis_server: RedisServer, missing: str) -> None:
    furnish(redis_server.client())
    rights = without(ACL["tidy"], missing)
    redis_server.client().execute_command("ACL", "SETUSER", "redkeep", "on", ">secret", *rights.split())
    url = redis_server.url.replace("redis://", "redis://redkeep:secret@")
    with pytest.raises(ServerDenied) as denied:
        swept(redis_server, policy(RULES[0], {"match": "x"}) if missing != "+scan" else policy({"match": "x"}), url=url)
    inside = missing in ("+object", "+unlink")
    named = not inside or redis_server.flavour in ("redis8", "valkey9")
    assert denied.value.hint.startswith(f"Grant it: ACL SETUSER redkeep {missing}" if named else "Grant what docs/")


# -- trims ------------------------------------------------------------------------------------------------------------


def test_what_is_too_long_is_trimmed_in_small_steps_to_what_is_wanted(redis_server: RedisServer) -> None:
    client = redis_server.client()
    client.rpush("feed:a", *range(5000))
    client.rpush("feed:b", *range(12))
    client.zadd("top:a", {f"m{n}": n for n in range(5000)})
    for _ in range(3):
        client.eval("for i = 1, 1000 do redis.call('XADD', KEYS[1], '*', 'f', i) end", 1, "log:a")
    now = time.time()
    client.zadd("samples:a", {f"s{n}": now - n * HOUR for n in range(3000)})
    ids = [f"{int((now - n * HOUR) * 1000)}-0" for n in reversed(range(3000))]
    for id_ in ids:
        client.execute_command("XADD", "events:a", id_, "f", "v")
    told = figures(
        swept(
            redis_server,
            policy(
                {"match": "feed:*", "type": "list", "action": {"trim_to": 10}},
                {"match": "top:*", "type": "zset", "action": {"trim_to": 10}},
                {"match": "log:*", "type": "stream", "action": {"trim_to": 10}},
                {"match": "samples:*", "type": "zset", "action": {"drop_scores_older_than": "2d"}},
                {"match": "events:*", "type": "stream", "action": {"drop_entries_older_than": "2d"}},
            ),
        )
    )
    assert client.lrange("feed:a", 0, -1) == [b"%d" % n for n in range(10)], "a feed keeps its head"
    assert client.lrange("feed:b", 0, -1) == [b"%d" % n for n in range(10)]
    assert client.zrange("top:a", 0, -1) == [b"m%d" % n for n in range(4990, 5000)], "the highest scores stay"
    assert client.xlen("log:a") == 10
    assert client.zcard("samples:a") == 48
    assert client.xlen("events:a") == 48
    assert [each["elements"] for each in told.values()] == [4992, 4990, 2990, 2952, 2952]
    assert [each["trimmed"] for each in told.values()] == [2, 1, 1, 1, 1]
    assert told["rule 1"]["bytes"] > 0


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

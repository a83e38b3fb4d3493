"""The sweep on every server: what goes by each condition, what stays, and what is trimmed."""

from __future__ import annotations

import time
from typing import Any

import pytest
import redis
from rig.idle import aged
from rig.page import RULES as ACL
from rig.page import without
from rig.redis_servers import RedisServer
from rig.sweeps import HOUR, figures, left, policy, swept

from tasks import sample
from tasks.errors import ServerDenied
from tasks.facts import NEEDS
from tasks.server import Server
from tasks.tidy.policy import choose
from tasks.tidy.safety import estimate, time_of

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

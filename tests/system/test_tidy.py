"""A run of tidy from its settings to its record: what refuses it, what a dry run says, how it ends and goes on."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
import redis
from rig.commands import Running, here, redkeep
from rig.idle import aged
from rig.keep import Keep
from rig.redis_servers import RedisServer

from tasks.control import connect
from tasks.errors import (
    ClockMovedBack,
    NoRecentBackup,
    NoRules,
    ServerIsReplica,
    ShareExceeded,
    TidyUnfit,
)
from tasks.names import Keys

MakeKeep = Callable[..., Keep]
SESSIONS = """
[target.tidy]
protect = ["session:admin*"]
[[target.tidy.rule]]
name = "old sessions"
match = "session:*"
idle = "30d"
action = "delete"
"""
EVERYTHING = """
[target.tidy]
[[target.tidy.rule]]
name = "all of it"
match = "k:*"
action = "delete"
"""


def furnished(server: RedisServer) -> redis.Redis:
    """Five old sessions (one protected) among forty keys."""
    client = server.client()
    client.mset({f"other:{number}": "x" for number in range(30)} | {f"session:{number}": "y" for number in range(10)})
    client.set("session:admin:1", "z")
    aged(client, ["session:1", "session:2", "session:3", "session:4", "session:admin:1"], 40 * 86_400)
    return client


# -- a run ------------------------------------------------------------------------------------------------------------


def test_a_run_removes_what_its_rules_find_and_records_it(redis_server: RedisServer, keep: MakeKeep) -> None:
    client = furnished(redis_server)
    ours = keep(redis_server, tidy=SESSIONS)
    ours.attempt()
    done = ours.verb("tidy")
    assert (done.state, done.error) == ("succeeded", None)
    assert client.exists("session:1", "session:2", "session:3", "session:4") == 0
    assert client.dbsize() == 37
    figures = done.record.get("figures")
    (rule,) = figures.pop("rules")
    assert rule.pop("bytes") > 0
    assert rule == {"rule": "old sessions", "action": "delete", "seen": 11, "matched": 4, "removed": 4, "changed": 0}
    assert figures["used_memory"].keys() == {"before", "after"}
    assert (figures["keys"], figures["met"], figures["ended"], figures["dry_run"]) == (41, 11, "through", False)
    assert figures["share"]["value"] == pytest.approx(4 / 41, abs=0.0001)
    assert figures["seconds_waited"].keys() == {"latency", "forks"}
    assert any("the server runs for" in warning for warning in done.warnings)


def test_redkeeps_own_keys_stay_where_the_server_carries_them(any_redis: RedisServer, keep: MakeKeep) -> None:
    everything = '[target.tidy]\n[[target.tidy.rule]]\nname = "x"\nmatch = "*"\ni_mean_it = true\naction = "delete"\n'
    ours = keep(any_redis, tidy=everything)
    own = f"{ours.settings.control.namespace}:run:1"
    any_redis.client().set(own, "x")
    any_redis.client().set("gone", "x")
    ours.attempt()
    assert ours.verb("tidy", force_share=1.0).state == "succeeded"
    assert any_redis.client().keys() == [own.encode()]


def test_celerys_litter_goes_and_what_lives_stays(redis_server: RedisServer, keep: MakeKeep) -> None:
    client = redis_server.client()
    client.rpush("app:7d83.reply.celery.pidbox", "late")
    client.rpush("9a11.reply.celery.pidbox", "just now")
    client.rpush("celery", "a task")
    client.set("celery-task-meta-1", "{}")
    client.set("celery-task-meta-2", "{}", ex=60)
    client.set("celery-taskset-meta-1", "{}")
    aged(client, ["app:7d83.reply.celery.pidbox", "celery"], 7200)
    ours = keep(redis_server, tidy='[target.tidy]\nmax_share = 1.0\n[[target.tidy.rule]]\npreset = "celery"\n')
    ours.attempt()
    assert ours.verb("tidy").state == "succeeded"
    assert client.exists("app:7d83.reply.celery.pidbox") == 0
    assert client.exists("9a11.reply.celery.pidbox", "celery") == 2
    ends = [client.ttl(key) for key in ("celery-task-meta-1", "celery-task-meta-2", "celery-taskset-meta-1")]
    assert ends[0] > 86_000
    assert ends[1] <= 60
    assert ends[2] > 86_000


# -- dry runs ---------------------------------------------------------------------------------------------------------


def test_by_hand_a_run_is_dry_until_its_rules_have_run_for_real(any_redis: RedisServer, keep: MakeKeep) -> None:
    client = furnished(any_redis)
    ours = keep(any_redis, tidy=SESSIONS)
    ours.attempt()
    dry = ours.attempt(task="tidy")
    assert dry.record.get("figures")["dry_run"] is True
    assert client.dbsize() == 41
    (rule,) = dry.record.get("figures")["rules"]
    assert (rule["matched"], rule["removed"]) == (4, 0)
    assert any(each.endswith("it is called session:*, was not used for 40 days") for each in rule["examples"])
    ours.verb("tidy", dry_run=False)
    assert client.dbsize() == 37
    assert ours.attempt(task="tidy").record.get("figures")["dry_run"] is False


def test_the_schedules_runs_are_real(any_redis: RedisServer, keep: MakeKeep) -> None:
    client = furnished(any_redis)
    ours = keep(any_redis, tidy=SESSIONS)
    ours.attempt()
    ours.attempt(task="tidy", slot="tasks.tidy/main/2026-11-23T11:37Z")
    assert client.dbsize() == 37


def test_a_dry_run_says_what_would_refuse_a_real_one(any_redis: RedisServer, keep: MakeKeep) -> None:
    any_redis.client().mset({f"k:{number}": "x" for number in range(10)})
    dry = keep(any_redis, tidy=EVERYTHING).verb("tidy", dry_run=True)
    assert dry.state == "succeeded"
    assert "a real run would be refused: there is no backup of main" in dry.warnings
    assert any("would be refused: about 100.0% of the keys would go" in each for each in dry.warnings)



def test_at_a_terminal_it_is_told_asked_and_done_by_a_worker(any_redis: RedisServer, keep: MakeKeep) -> None:
    client = furnished(any_redis)
    ours = keep(any_redis, tidy=SESSIONS.replace("[target.tidy]", "[target.tidy]\nmax_share = 0.01"))
    ours.attempt()
    with Running("worker", "tidy", config=ours.config_path) as worker:
        worker.until("ready.")
        told = redkeep("run", "tidy", "main", config=ours.config_path)
        assert told.code == 0, told.err
        assert "old sessions: 4 of 11 would be removed" in told.out
        assert "Nothing was changed: this was a dry run. --no-dry-run does it." in told.out
        assert "it is called session:*, was not used for 40 days" in told.out
        refused = redkeep("run", "tidy", "main", "--no-dry-run", config=ours.config_path)
        assert (refused.code, client.dbsize()) == (ShareExceeded.code, 41)
        assert "--force-share 0.1" in refused.err
        forced = ("--no-dry-run", "--force-share", "0.1", "--json")
        done = redkeep("run", "tidy", "main", *forced, config=ours.config_path).json
    assert (done["outcome"], done["figures"]["rules"][0]["removed"], client.dbsize()) == ("succeeded", 4, 37)


def test_what_tidy_alone_takes_is_refused_elsewhere(any_redis: RedisServer, keep: MakeKeep) -> None:
    ours = keep(any_redis)
    for arguments in (("backup", "main", "--force-share", "0.5"), ("tidy", "main", "--force-share", "2")):
        assert here("run", *arguments, config=ours.config_path).code == 64


# -- what refuses it --------------------------------------------------------------------------------------------------


def test_nothing_goes_without_a_young_backup(any_redis: RedisServer, keep: MakeKeep) -> None:
    client = furnished(any_redis)
    ours = keep(any_redis, tidy=SESSIONS)
    assert isinstance(ours.verb("tidy").error, NoRecentBackup)
    old = keep(any_redis, tidy=SESSIONS.replace("[target.tidy]", '[target.tidy]\nneeds_backup_within = "1ms"'))
    old.attempt()
    refused = old.verb("tidy")
    assert isinstance(refused.error, NoRecentBackup)
    assert "wanted: 0 seconds" in str(refused.error)
    assert client.dbsize() == 41


def test_more_than_its_share_goes_only_by_force(any_redis: RedisServer, keep: MakeKeep) -> None:
    any_redis.client().mset({f"k:{number}": "x" for number in range(50)} | {f"o:{number}": "x" for number in range(50)})
    ours = keep(any_redis, tidy=EVERYTHING)
    ours.attempt()
    refused = ours.verb("tidy")
    assert isinstance(refused.error, ShareExceeded)
    assert str(refused.error) == (
        "about 50.0% of the keys would go, and max_share is 25.0% (50 to 50 of 100 keys)"
    )
    assert "--force-share 0.5" in refused.error.hint
    assert any_redis.client().dbsize() == 100
    assert ours.verb("tidy", force_share=0.5).state == "succeeded"
    assert any_redis.client().dbsize() == 50


def test_a_large_keyspace_is_judged_by_a_sample_with_its_error(any_redis: RedisServer, keep: MakeKeep) -> None:
    names = {f"k:{number}": "x" for number in range(3000)} | {f"o:{number}": "x" for number in range(3000)}
    any_redis.client().mset(names)
    ours = keep(any_redis, tidy=EVERYTHING)
    ours.attempt()
    share = ours.verb("tidy").record.get("figures")["share"]
    assert share["low"] < share["value"] < share["high"]
    assert share["low"] < 0.55
    assert share["high"] > 0.45


def test_without_rules_there_is_nothing_to_do(any_redis: RedisServer, keep: MakeKeep) -> None:
    assert isinstance(keep(any_redis).verb("tidy").error, NoRules)
    assert isinstance(keep(any_redis, tidy="[target.tidy]\n").verb("tidy").error, NoRules)


def test_a_replica_is_refused(any_redis: RedisServer, keep: MakeKeep) -> None:
    any_redis.client().replicaof("127.0.0.1", "1")
    refused = keep(any_redis, tidy=SESSIONS).verb("tidy")
    assert isinstance(refused.error, ServerIsReplica)
    assert "tidy writes" in refused.error.hint


def test_a_clusters_node_is_refused(keep: MakeKeep) -> None:
    with RedisServer("redis7", cluster_enabled="yes") as node:
        refused = keep(node, tidy=SESSIONS).verb("tidy")
    assert isinstance(refused.error, TidyUnfit)


@pytest.mark.parametrize(
    ("eviction", "condition", "said"),
    [("allkeys-lfu", 'idle = "1d"', "asks for idle"), ("noeviction", "freq = 3", "asks for freq")],
)
def test_a_rule_asks_for_what_the_eviction_policy_keeps(
    any_redis: RedisServer, keep: MakeKeep, eviction: str, condition: str, said: str
) -> None:
    any_redis.client().config_set("maxmemory-policy", eviction)
    refused = keep(any_redis, tidy=SESSIONS.replace('idle = "30d"', condition)).verb("tidy", dry_run=True)
    assert isinstance(refused.error, TidyUnfit)
    assert f"rule 'old sessions' {said}" in str(refused.error)


def test_idle_and_a_count_exclude_each_other_where_counting_makes_keys_young(
    redis_server: RedisServer, keep: MakeKeep
) -> None:
    rules = SESSIONS.replace('idle = "30d"', 'idle = "30d"\nsize = { elements = 3 }')
    error = keep(redis_server, tidy=rules).verb("tidy", dry_run=True).error
    assert isinstance(error, TidyUnfit) is (redis_server.flavour in ("redis6", "redis7"))


def test_after_its_clock_was_set_back_a_server_is_left_alone(any_redis: RedisServer, keep: MakeKeep) -> None:
    client = furnished(any_redis)
    ours = keep(any_redis, tidy=SESSIONS)
    ours.attempt()
    control = connect(ours.settings.control)
    control.hset(Keys(ours.settings.control.namespace).tidy("main"), "time", time.time() + 3600)
    control.close()
    assert isinstance(ours.verb("tidy").error, ClockMovedBack)
    assert client.dbsize() == 41

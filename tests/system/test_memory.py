"""redkeep memory, as a user calls it, against real servers."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from rig.commands import here, in_terminal
from rig.installations import settings_text
from rig.page import RULES, granted_by, without
from rig.redis_servers import RedisServer

from tasks.errors import ServerDenied, UnknownTarget


@pytest.fixture
def config(any_redis: RedisServer, tmp_path: Path) -> Path:
    path = tmp_path / "redkeep.toml"
    path.write_text(settings_text("redis://127.0.0.1:1", targets={"main": {"url": any_redis.url}}))
    return path


def fill(server: RedisServer, number: int = 300) -> None:
    pipe = server.client().pipeline(transaction=False)
    for at in range(number):
        pipe.set(f"session:{at:08x}", "x" * 200, ex=600)
        pipe.hset(f"user:{at}:profile", mapping={"name": "n" * 20})
    pipe.set(b"\xff raw", "x" * 100_000)
    pipe.execute()


def shares(found: dict[str, Any], section: str) -> dict[str, float]:
    return {group["name"]: group["share"] for group in found["sections"][section]}


def test_json_tells_where_the_bytes_are_and_counts_what_it_saw_whole(any_redis: RedisServer, config: Path) -> None:
    fill(any_redis)
    found = here("memory", "main", "--json", config=config).json
    assert (found["target"], found["keys"], found["sampled"], found["exact"]) == ("main", 601, 601, True)
    assert {"session:*", "user:*:profile", "\\xff raw"} == set(shares(found, "prefix"))
    assert set(shares(found, "type")) == {"string", "hash"}
    assert set(shares(found, "ttl")) == {"within an hour", "never"}
    assert found["biggest"][0]["key"] == "\\xff raw"
    assert found["bytes"]["low"] == found["bytes"]["value"] == sum(
        group["bytes"]["value"] for group in found["sections"]["prefix"]
    )
    assert found["unseen_bytes"] == 0


def test_a_sample_tells_of_all_keys_and_how_far_it_may_be_off(any_redis: RedisServer, config: Path) -> None:
    fill(any_redis)
    found = here("memory", "main", "--json", "--samples", "200", config=config).json
    assert (found["keys"], found["sampled"], found["exact"]) == (601, 200, False)
    for group in found["sections"]["type"]:
        assert group["keys"]["low"] < group["keys"]["value"] < group["keys"]["high"]


def test_under_an_lfu_policy_it_tells_how_often_keys_are_used(any_redis: RedisServer, config: Path) -> None:
    any_redis.client().config_set("maxmemory-policy", "allkeys-lfu")
    fill(any_redis)
    assert list(here("memory", "main", "--json", config=config).json["sections"]) == ["prefix", "type", "ttl", "freq"]


def test_what_no_draw_met_is_told_of(any_redis: RedisServer, config: Path) -> None:
    fill(any_redis, 2000)
    any_redis.client().set("huge", "x" * 20_000_000)
    for samples in (50, 10_000):
        found = here("memory", "main", "--json", "--samples", samples, config=config).json
        drawn = any(each["key"] == "huge" for each in found["biggest"])
        assert drawn or found["unseen_bytes"] > 15_000_000
    assert drawn


@pytest.mark.parametrize("columns", [80, 200])
def test_in_a_terminal_no_line_is_broken_and_every_section_is_there(
    any_redis: RedisServer, config: Path, columns: int
) -> None:
    fill(any_redis)
    shown = in_terminal("memory", "main", "--samples", 400, config=config, columns=columns)
    assert shown.code == 0
    for words in ("KEYS LIKE", "TYPE", "EXPIRES", "LAST USED", "BIGGEST KEYS DRAWN", "session:*", "█"):
        assert words in shown.out
    lines = shown.out.replace("\r", "").split("\n")
    assert max(len(plain(line)) for line in lines) <= columns


def plain(line: str) -> str:
    """Without what steers the terminal."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line).rstrip()


RULE = """
[target.tidy]
[[target.tidy.rule]]
name = "{name}"
match = "{match}"
type = "list"
action = {action}
{more}
"""


def test_it_tells_what_each_rule_would_free_and_makes_no_key_young(redis_server: RedisServer, tmp_path: Path) -> None:
    client = redis_server.client()
    for at in range(20):
        client.rpush(f"feed:{at}", *("x" * 100 for _ in range(100)))
        client.restore(f"feed:{at}", 0, client.dump(f"feed:{at}"), replace=True, idletime=5000)
    path = tmp_path / "redkeep.toml"
    text = settings_text("redis://127.0.0.1:1", targets={"main": {"url": redis_server.url}})
    text += RULE.format(name="feeds", match="feed:*", action="{ trim_to = 10 }", more="")
    idle = RULE.format(name="idle", match="feed:1?", action='"delete"', more='idle = "1h"\nsize = { elements = 5 }')
    path.write_text(text + idle.replace("[target.tidy]\n", ""))
    found = here("memory", "main", "--json", config=path).json
    feeds = found["rules"][0]
    assert (feeds["name"], feeds["keys"]["value"]) == ("feeds", 20)
    assert 0.8 < feeds["bytes"]["value"] / found["bytes"]["value"] < 0.95
    old = redis_server.flavour in ("redis6", "redis7")
    assert found["rules_unjudged"] == (["idle"] if old else [])
    if not old:
        assert all(client.object("idletime", f"feed:{at}") >= 5000 for at in range(20))
    assert "WOULD BE FREED BY RULE" in here("memory", "main", config=path).out


def test_an_empty_server_and_a_pipe_are_no_special_case(any_redis: RedisServer, config: Path) -> None:
    assert "no keys" in here("memory", "main", config=config).out
    fill(any_redis, 3)
    assert "session:" in here("memory", "main", config=config).out


def test_a_target_that_is_not_there_is_refused(config: Path) -> None:
    done = here("memory", "nowhere", "--json", config=config)
    assert (done.code, json.loads(done.out)["error"]["name"]) == (UnknownTarget.code, "unknown-target")


def test_the_rights_on_the_permissions_page_are_enough(redis_server: RedisServer, tmp_path: Path) -> None:
    rule = RULES["memory"]
    if redis_server.flavour in ("redis6", "redis7"):
        rule = rule.replace(" +client|no-touch", "")
    redis_server.client().execute_command("ACL", "SETUSER", "looker", ">secret", *rule.split())
    fill(redis_server)
    url = f"redis://looker:secret@127.0.0.1:{redis_server.port}"
    path = tmp_path / "redkeep.toml"
    path.write_text(settings_text("redis://127.0.0.1:1", targets={"main": {"url": url}}))
    for samples in (10, 10_000):
        assert here("memory", "main", "--samples", samples, config=path).code == 0


SELDOM = {"+client|no-touch", "+randomkey", "+time", "+llen", "+hlen", "+scard", "+zcard", "+xlen"}
"""What it goes without, or needs only among many keys or where rules of tidy ask for it."""


@pytest.mark.parametrize("missing", [word for word in granted_by(RULES["memory"]) if word not in SELDOM])
def test_without_one_of_the_rights_it_fails_and_names_it(any_redis: RedisServer, tmp_path: Path, missing: str) -> None:
    fill(any_redis)
    words = [word for word in without(RULES["memory"], missing).split() if word != "+client|no-touch"]
    any_redis.client().execute_command("ACL", "SETUSER", "looker", ">secret", *words)
    path = tmp_path / "redkeep.toml"
    url = f"redis://looker:secret@127.0.0.1:{any_redis.port}"
    path.write_text(settings_text("redis://127.0.0.1:1", targets={"main": {"url": url}}))
    error = here("memory", "main", "--json", config=path).json["error"]
    assert error["code"] == ServerDenied.code
    assert f"ACL SETUSER looker {missing}" in error["hint"]

"""Whole runs of tidy with keep_copy: archived, removed, brought back; and killed or without a store in the middle."""

from __future__ import annotations

import math
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from rig import s3
from rig.commands import here
from rig.every_type import fill, values
from rig.keep import Attempt, Keep, eventually
from rig.page import RULES, without
from rig.redis_servers import RedisServer

from tasks import archive, errors, job
from tasks.archive import Shipper, Shipping
from tasks.glob import Glob
from tasks.job import Ticket
from tasks.names import new_nonce
from tasks.pace import Pace
from tasks.server import Server
from tasks.store import open_store
from tasks.tidy import copies, tidy
from tasks.tidy.copies import Copies
from tasks.tidy.look import START
from tasks.tidy.policy import Action, Policy, Rule
from tasks.tidy.sweep import Place, Sweep

MakeKeep = Callable[..., Keep]
COPIED = """
[target.tidy]
max_share = 1.0
[[target.tidy.rule]]
name = "all that is old"
match = "old:*"
action = "delete"
keep_copy = true
"""

RULE = """
[[target.tidy.rule]]
name = "{name}"
match = "{name}"
type = "{type}"
action = {{ {action} }}
keep_copy = true
"""


def installed(keep: MakeKeep, server: RedisServer, rules: str = COPIED) -> Keep:
    """With its identity, and a backup that is young enough."""
    made = keep(server, proving=True, tidy=rules)
    assert made.attempt().state == "succeeded"
    return made


def untidied(keep: Keep, run: str, *more: str) -> dict[str, Any]:
    done = here("untidy", run, "main", "--yes", "--json", *more, config=keep.config_path)
    assert done.code == 0, done.out
    return dict(done.json)


def rule_of(done: Attempt) -> dict[str, Any]:
    return dict(done.record.get("figures")["rules"][0])


def test_a_run_archives_what_it_removes_and_untidy_gives_every_value_back(
    redis_server: RedisServer, keep: MakeKeep
) -> None:
    client, other = redis_server.client(), redis_server.client(db=2)
    fill(client, now=int(time.time() * 1000))
    other.set("old:elsewhere", 1)
    client.set("young", 1)
    before = values(client), values(other)
    ours = installed(keep, redis_server)
    done = ours.verb("tidy")
    assert done.error is None
    figures = done.record.get("figures")
    assert (client.keys(), other.keys()) == ([b"young"], [])
    assert (rule_of(done)["removed"], figures["archived_keys"], figures["segments"]) == (14, 14, 1)
    assert rule_of(done)["bytes"] > 100_000
    assert untidied(ours, done.run_id[:6])["figures"]["restored"] == 14
    assert (values(client), values(other)) == before


def test_a_run_that_finds_nothing_archives_nothing_nor_does_a_dry_one(any_redis: RedisServer, keep: MakeKeep) -> None:
    ours = installed(keep, any_redis)
    assert "archive" not in ours.verb("tidy").record.get("figures")
    any_redis.client().set("old:1", 1)
    assert "archive" not in ours.verb("tidy", dry_run=True).record.get("figures")
    assert archive.archives(ours.store, "main") == {}
    assert any_redis.client().dbsize() == 1


def test_an_s3_bucket_takes_the_copies_as_well(
    any_redis: RedisServer, keep: MakeKeep, bucket: str, moto: s3.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = any_redis.client()
    names = [f"old:{at}" for at in range(12_000)]
    client.mset({name: os.urandom(1000) for name in names})
    before = client.mget(names)
    ours = keep(any_redis, proving=True, tidy=COPIED, store_url=bucket, endpoint_url=moto.endpoint_url)
    assert ours.attempt().state == "succeeded"
    monkeypatch.setattr(copies, "SEGMENT_BYTES", 8 * 2**20)
    figures = ours.verb("tidy").record.get("figures")
    assert (figures["segments"], figures["archived_keys"], client.dbsize()) == (2, 12_000, 0)
    assert [each.object.parts for each in archive.find(ours.store, "main", "latest")] == [2, 1]
    assert untidied(ours, "latest")["figures"]["restored"] == 12_000
    assert client.mget(names) == before


def test_retention_removes_copies_when_their_time_is_over_and_no_backup(any_redis: RedisServer, keep: MakeKeep) -> None:
    any_redis.client().mset({f"old:{at}": at for at in range(5)})
    ours = installed(keep, any_redis, COPIED.replace("max_share", 'copies_for = "10ms"\nmax_share'))
    ours.verb("tidy")
    eventually(lambda: ours.verb("retention", dry_run=True).record.get("figures")["copies"] == 1)
    assert list(archive.archives(ours.store, "main"))
    assert ours.verb("retention").record.get("figures")["copies"] == 1
    assert [key for key in ours.left() if "tidied" in key] == []
    assert len(ours.manifests()) == 1


def test_what_is_too_large_for_a_copy_stays_and_is_told_of(any_redis: RedisServer, keep: MakeKeep) -> None:
    client = any_redis.client()
    client.set("old:large", "x" * 200_000)
    client.set("old:small", "x")
    ours = installed(keep, any_redis, COPIED.replace("max_share", 'max_copy = "100KiB"\nmax_share'))
    done = ours.verb("tidy")
    assert client.keys() == [b"old:large"]
    assert (rule_of(done)["removed"], rule_of(done)["uncopied"]) == (1, 1)
    assert any("old:large" in told for told in done.warnings)


def test_while_the_store_takes_nothing_a_run_removes_nothing_and_the_next_one_does(
    any_redis: RedisServer, keep: MakeKeep
) -> None:
    client = any_redis.client()
    client.mset({f"old:{at}": at for at in range(50)})
    ours = installed(keep, any_redis)
    assert ours.store_folder is not None
    in_the_way = ours.store_folder / "main" / "tidied"
    in_the_way.write_text("")
    failed = ours.verb("tidy")
    assert isinstance(failed.error, errors.RedkeepError)
    assert client.dbsize() == 50
    in_the_way.unlink()
    assert rule_of(ours.verb("tidy"))["removed"] == 50


def test_a_run_that_is_killed_has_removed_nothing_that_is_not_in_its_archive(
    any_redis: RedisServer, keep: MakeKeep
) -> None:
    client = any_redis.client()
    ours = installed(keep, any_redis)
    ours.verb("tidy")  # from now on a run by hand is real
    client.mset({f"old:{at}": "x" * (at % 100) for at in range(60_000)})
    process = ours.process(str(uuid.uuid4()), "tidy")
    eventually(lambda: client.dbsize() < 60_000 or process.poll() is not None)
    process.kill()
    process.wait()
    left = client.dbsize()
    assert 0 < left < 60_000, "it was killed in the middle"
    untidied(ours, "latest", "--to-redis", any_redis.url)  # which does not wait until the dead run's lease has ended
    found = client.mget([f"old:{at}" for at in range(60_000)])
    assert found == [b"x" * (at % 100) for at in range(60_000)]


def test_the_rights_on_the_permissions_page_are_enough(redis_server: RedisServer, keep: MakeKeep) -> None:
    unknown = "+pexpiretime" if redis_server.flavour == "redis6" else ""
    rights = f"{RULES['tidy']} {without(RULES['tidy copies'], unknown)}"
    client = redis_server.client()
    client.execute_command("ACL", "SETUSER", "redkeep", "on", ">secret", *rights.split())
    fill(client, now=int(time.time() * 1000))
    client.zadd("scores", {"a": 1, "b": time.time()})
    client.xadd("entries", {"a": 1}, id="1-0")
    rules = COPIED + RULE.format(name="scores", type="zset", action="drop_scores_older_than = '1d'")
    rules += RULE.format(name="entries", type="stream", action="drop_entries_older_than = '1d'")
    made = keep(redis_server, proving=True, tidy=rules)
    assert made.attempt().state == "succeeded"
    url = f"redis://redkeep:secret@127.0.0.1:{redis_server.port}"
    as_user = made.target.model_copy(update={"url": SecretStr(url)})
    ticket = Ticket(str(uuid.uuid4()), "tasks.tidy", "main", options={"dry_run": False})
    done = job.run(lambda each: tidy(each, made.settings, as_user), ticket, made.settings, as_user)
    assert done["outcome"] == "succeeded"
    assert sorted(client.keys()) == [b"entries", b"scores"]
    assert (client.zcard("scores"), client.xlen("entries")) == (1, 0)


# -- a sweep that ends before its end ---------------------------------------------------------------------------------


def sweeping(ours: Server, beside: Server, store_url: str) -> Sweep:
    """One that is over as soon as anything was copied."""
    rule = Rule("old", Glob("old:*"), Action("delete"), keep_copy=True)
    shipping = Shipping(
        target="main", archive_id="20261123T113700Z-1a2b3c4d", task_id="1a2b3c4d", nonce=new_nonce(), slot=None,
        fence=lambda: 1, server=ours.facts(), compression="none", recipients=(), signing_key=None, prove=lambda: None,
    )
    pace = Pace(beside, max_latency=math.inf, until=math.inf, must_end=lambda: taken.waiting)
    taken = Copies(ours, Shipper(open_store(store_url), shipping), 2**20, lambda commands: pace.ask(ours, commands))
    return Sweep(ours, pace, Policy((), (rule,)), time.time(), False, math.inf, lambda met: None, taken)


def test_when_its_time_is_over_what_was_copied_is_still_shipped_and_removed(
    any_redis: RedisServer, tmp_path: Path
) -> None:
    client = any_redis.client()
    client.mset({f"old:{at}": at for at in range(5000)})
    with Server(any_redis.url) as ours, Server(any_redis.url) as beside:
        sweep = sweeping(ours, beside, tmp_path.as_uri())
        sweep.run()
        assert sweep.place is not None
        done = sweep.tallies["old"].done
    assert 0 < done == 5000 - client.dbsize() < 5000


def test_after_an_error_the_next_run_goes_on_before_the_first_key_that_was_copied_and_not_removed(
    any_redis: RedisServer, tmp_path: Path
) -> None:
    any_redis.client().mset({f"old:{at}": at for at in range(5000)})
    with Server(any_redis.url) as ours, Server(any_redis.url) as beside:
        sweep = sweeping(ours, beside, (tmp_path / "not there").as_uri())
        with pytest.raises(errors.StoreUnusable):
            sweep.run()
        assert sweep.place == Place(0, START)
    assert any_redis.client().dbsize() == 5000

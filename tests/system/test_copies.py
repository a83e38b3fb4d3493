"""Keys are copied into an archive, then removed if nothing has changed, and come back as they were; on every server."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis
from rig.commands import ROOT
from rig.every_type import fill, values
from rig.keep import eventually
from rig.redis_servers import RedisServer
from rig.shelves import Dying, Gone

from tasks import archive, names
from tasks.archive import Shipper, Shipping
from tasks.errors import ArchiveInvalid, LeaseLost, StoreUnusable
from tasks.glob import Glob
from tasks.manifest import Manifest
from tasks.server import Server
from tasks.store import Store, open_store
from tasks.stream import age
from tasks.tidy import copies as copies_module
from tasks.tidy.copies import Copies, Taken
from tasks.tidy.policy import Action, Rule
from tasks.untidy import Fates, Homecoming, Wish

IDENTITY = age.generate_identity()
RULE = Rule("old", Glob("old:*"), Action("delete"), keep_copy=True)
ID = "20261123T113700Z-1a2b3c4d"
NOW = int(time.time() * 1000)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(tmp_path.as_uri())


def nothing() -> None:
    pass


@contextmanager
def copying(
    server: RedisServer, store: Any, *, largest: int = 2**20, **changes: Any
) -> Iterator[Copies]:
    with Server(server.url) as ours:
        shipping = Shipping(
            target="main", archive_id=ID, task_id="1a2b3c4d-5e6f", nonce=names.new_nonce(), slot=None,
            fence=lambda: 1, server=ours.facts(), compression="zstd:1", recipients=(age.recipient_of(IDENTITY),),
            signing_key=None, prove=nothing,
        )
        yield Copies(ours, Shipper(store, replace(shipping, **changes)), largest, ours.answers)


def tidied(server: RedisServer, store: Any, rule: Rule = RULE, **options: Any) -> Taken:
    """All keys that the rule's glob matches, through the archive."""
    with copying(server, store, **options) as copies:
        keys = list(server.client().scan_iter(rule.glob.pattern))
        copies.take(0, rule, keys)
        copies.finish()
        return counted(copies)


def counted(copies: Copies, rule: str = "old") -> Taken:
    """Without the bytes, which each server estimates in its own way."""
    return replace(copies.taken.get(rule, Taken()), freed=0)


def back(server: RedisServer, store: Store, wanted: str = ID, **wish: Any) -> Fates:
    with Server(server.url) as ours:
        return Homecoming(store, ours, [IDENTITY], Wish(**wish)).run(archive.find(store, "main", wanted))


# -- there and back ----------------------------------------------------------------------------------------------------


def test_every_value_of_every_type_comes_back_with_its_time_to_live(redis_server: RedisServer, store: Store) -> None:
    client = redis_server.client()
    fill(client, now=NOW)
    client.set("young", 1)
    before = values(client, "old:*")
    assert len(before) == 13
    assert tidied(redis_server, store) == Taken(done=13)
    assert client.keys() == [b"young"]
    assert back(redis_server, store) == Fates(restored=13)
    assert values(client, "old:*") == before


def test_keys_of_several_databases_go_back_into_their_own(redis_server: RedisServer, store: Store) -> None:
    for db in (0, 3):
        redis_server.client(db=db).set("old:a", db)
    with copying(redis_server, store) as copies:
        for db in (0, 3):
            copies.server.ask("SELECT", db)
            copies.take(db, RULE, [b"old:a"])
        copies.finish()
    assert redis_server.counts() == {}
    assert back(redis_server, store) == Fates(restored=2)
    assert [redis_server.client(db=db).get("old:a") for db in (0, 3)] == [b"0", b"3"]


def test_the_connection_is_in_its_database_again_after_a_segment_of_another_went(
    any_redis: RedisServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies_module, "SEGMENT_KEYS", 2)
    for db in (0, 3):
        any_redis.client(db=db).mset({f"old:{at}": db for at in range(3)})
    with copying(any_redis, store) as copies:
        for db in (0, 3):
            copies.server.ask("SELECT", db)
            for at in range(3):
                copies.take(db, RULE, [b"old:%d" % at])
        copies.finish()
        assert counted(copies) == Taken(done=6)
        assert len(copies.shipper.shipped) == 3
    assert any_redis.counts() == {}


@pytest.mark.parametrize(
    ("kind", "amount", "left"),
    [("trim_to", 3, 3), ("trim_to", 0, 0), ("drop_scores_older_than", 100, 7), ("expire_in", 1000, 10)],
)
def test_a_trim_archives_the_whole_key_first(
    redis_server: RedisServer, store: Store, kind: Any, amount: float, left: int
) -> None:
    client = redis_server.client()
    now = time.time()
    client.zadd("old:z", {f"m{at}": now - at * 15 for at in range(10)})
    before = values(client)
    taken = tidied(redis_server, store, replace(RULE, action=Action(kind, amount)))
    assert taken == Taken(done=1, elements=10 - left)
    assert client.zcard("old:z") == left
    if kind == "expire_in":
        assert 0 < client.ttl("old:z") <= 1000
    assert back(redis_server, store, replace=True) == Fates(restored=1)
    assert values(client) == before


def test_lists_and_streams_are_trimmed_at_their_old_end(redis_server: RedisServer, store: Store) -> None:
    client = redis_server.client()
    for at in range(10):
        client.lpush("old:list", at)
        client.xadd("old:stream", {"n": at}, id=f"{at + 1}-0")
    assert tidied(redis_server, store, replace(RULE, action=Action("trim_to", 2))) == Taken(done=2, elements=16)
    assert client.lrange("old:list", 0, -1) == [b"9", b"8"]
    assert [each[0] for each in client.xrange("old:stream")] == [b"9-0", b"10-0"]


# -- only what was shipped and is as it was ----------------------------------------------------------------------------


CHANGES: dict[str, Callable[[Any], object]] = {
    "written": lambda client: client.set("old:a", "new"),
    "expired sooner": lambda client: client.pexpire("old:a", 500_000),
    "made lasting": lambda client: client.persist("old:b"),
    "renewed": lambda client: client.pexpire("old:b", 900_000),
    "grown": lambda client: client.rpush("old:c", 1),
    "gone": lambda client: client.delete("old:a"),
    "another type": lambda client: (client.delete("old:a"), client.rpush("old:a", 1)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_key_that_changed_since_it_was_copied_stays(redis_server: RedisServer, store: Store, change: str) -> None:
    client = redis_server.client()
    client.set("old:a", "value")
    client.set("old:b", "value", px=800_000)
    client.rpush("old:c", *range(10))
    with copying(redis_server, store) as copies:
        copies.take(0, RULE, [b"old:a", b"old:b", b"old:c"])
        CHANGES[change](client)
        after = values(client)
        copies.finish()
        assert counted(copies) == Taken(done=2, changed=0 if change == "gone" else 1)
    left = values(client)
    assert left.items() <= after.items()
    assert len(left) == (0 if change == "gone" else 1)
    client.flushall()
    assert back(redis_server, store) == Fates(restored=2, stayed=1)


def test_a_key_that_was_read_since_it_was_judged_idle_stays(redis_server: RedisServer, store: Store) -> None:
    client = redis_server.client()
    for key in ("old:a", "old:b"):
        client.set(key, "value")
        client.restore(key, 0, client.dump(key), replace=True, idletime=5000)
    with copying(redis_server, store) as copies:
        copies.take(0, replace(RULE, idle=3600.0), [b"old:a", b"old:b"])
        if redis_server.flavour in ("redis6", "redis7"):  # there our own DUMP makes keys young: see the module's text
            waited = time.monotonic() + copies_module.BLUR + 2.2
            while time.monotonic() < waited:
                client.get("old:a")
        client.get("old:a")
        copies.finish()
        assert counted(copies) == Taken(done=1, changed=1)
    assert client.keys() == [b"old:a"]


def test_a_key_that_no_longer_meets_the_rule_is_not_even_copied(redis_server: RedisServer, store: Store) -> None:
    """It was judged by facts that are some moments old when it is copied."""
    client = redis_server.client()
    client.set("old:a", "value")
    client.rpush("old:c", 1)
    client.set("old:d", 1, ex=1000)
    with copying(redis_server, store) as copies:
        copies.take(0, replace(RULE, idle=3600.0), [b"old:a"])
        copies.take(0, replace(RULE, type="string"), [b"old:c"])
        copies.take(0, replace(RULE, ttl=float("inf")), [b"old:d"])
        copies.take(0, replace(RULE, action=Action("drop_scores_older_than", 60)), [b"old:c"])
        copies.finish()
        assert counted(copies) == Taken(changed=3)
        assert copies.figures() == {}
    assert client.dbsize() == 3


def test_a_key_without_anything_old_in_it_is_not_archived(redis_server: RedisServer, store: Store) -> None:
    client = redis_server.client()
    client.zadd("old:z", {"a": time.time()})
    client.xadd("old:x", {"a": 1})
    for kind, key in (("drop_scores_older_than", b"old:z"), ("drop_entries_older_than", b"old:x")):
        with copying(redis_server, store) as copies:
            copies.take(0, replace(RULE, action=Action(kind, 3600)), [key])
            copies.finish()
            assert (counted(copies), copies.figures()) == (Taken(), {})


def test_it_tells_what_was_freed_and_what_was_archived(redis_server: RedisServer, store: Store) -> None:
    client = redis_server.client()
    client.set("old:a", "x" * 10_000)
    client.rpush("old:b", *("y" * 1000 for _ in range(100)))
    with copying(redis_server, store) as copies:
        copies.take(0, RULE, [b"old:a"])
        copies.take(0, replace(RULE, name="lists", action=Action("trim_to", 10)), [b"old:b"])
        copies.finish()
        assert 10_000 <= copies.taken["old"].freed <= 20_000
        assert 80_000 <= copies.taken["lists"].freed <= 100_000
        figures = copies.figures()
        assert (figures["archive"], figures["segments"], figures["archived_keys"]) == (ID, 1, 2)


def test_keys_too_large_to_be_dumped_stay_and_are_told_of(any_redis: RedisServer, store: Store) -> None:
    any_redis.client().set("old:large", "x" * 200_000)
    any_redis.client().set("old:small", "x")
    with copying(any_redis, store, largest=100_000) as copies:
        copies.take(0, RULE, [b"old:large", b"old:small", b"old:gone"])
        copies.finish()
        assert counted(copies) == Taken(done=1, too_large=1)
        assert list(copies.warnings())[1] == "too large to be copied: old:large"
    assert any_redis.client().keys() == [b"old:large"]


def test_no_write_is_lost_whenever_it_comes(redis_server: RedisServer, store: Store) -> None:
    """Counters are archived and removed while somebody counts on. What was counted stands, all told, in the server and
    in the archive's records that were really removed."""
    client, rng = redis_server.client(), random.Random(3)
    keys = [b"old:%d" % at for at in range(40)]
    counted_up: Counter[bytes] = Counter()
    over = threading.Event()

    def count_on() -> None:
        while not over.is_set():
            key = rng.choice(keys)
            client.incr(key)
            counted_up[key] += 1

    writer = threading.Thread(target=count_on)
    writer.start()
    try:
        with copying(redis_server, store) as copies:
            end = time.monotonic() + 10
            while (counted(copies).done < 300 or counted(copies).changed < 5) and time.monotonic() < end:
                copies.take(0, RULE, keys)
                copies.finish()
    finally:
        over.set()
        writer.join()
    assert counted(copies).done >= 300
    found = Counter({key: int(value or 0) for key, value in zip(keys, client.mget(keys), strict=True)})
    for manifest in archive.find(store, "main", ID):
        stayed = archive.stayed_in(store, manifest)
        with archive.fetched(store, manifest, [IDENTITY]) as records:
            for number, record in enumerate(records):
                if number not in stayed:
                    client.restore("scratch", 0, record.payload, replace=True)
                    found[record.key] += int(client.get("scratch"))
    assert found == counted_up


def test_a_copy_that_no_reader_would_take_back_is_not_made(
    any_redis: RedisServer, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """MEMORY USAGE goes by five elements, and here it is far off."""
    client = any_redis.client()
    client.hset("old:h", mapping={f"f{at}": "x" for at in range(600)})
    client.hset("old:h", mapping={f"g{at}": os.urandom(5000) for at in range(40)})
    client.set("old:" + "k" * 2000, 1)
    monkeypatch.setattr(copies_module, "LONGEST_PAYLOAD", 100_000)
    monkeypatch.setattr(copies_module, "LONGEST_KEY", 1000)
    assert tidied(any_redis, store) == Taken(too_large=2)
    monkeypatch.setattr(copies_module, "LONGEST_PAYLOAD", 10**9)
    monkeypatch.setattr(copies_module, "LONGEST_SEGMENT", 100_000)
    assert tidied(any_redis, store) == Taken(too_large=2)
    assert client.dbsize() == 2


# -- nothing goes that is not in the archive ---------------------------------------------------------------------------


def test_while_the_store_is_away_nothing_is_removed(any_redis: RedisServer, tmp_path: Path) -> None:
    any_redis.client().set("old:a", 1)
    with pytest.raises(StoreUnusable):
        tidied(any_redis, open_store((tmp_path / "not there").as_uri()))
    assert any_redis.client().keys() == [b"old:a"]


def test_a_run_that_lost_its_lease_commits_and_removes_nothing(any_redis: RedisServer, store: Store) -> None:
    def lost() -> None:
        raise LeaseLost("gone")

    any_redis.client().set("old:a", 1)
    with pytest.raises(LeaseLost):
        tidied(any_redis, store, prove=lost)
    assert any_redis.client().keys() == [b"old:a"]
    assert archive.archives(store, "main") == {}


@pytest.mark.parametrize("step", range(8))
def test_ended_at_any_step_nothing_is_gone_that_is_not_in_the_archive(
    any_redis: RedisServer, store: Store, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """The store's changes are the steps: objects, manifests, and what is noted beside."""
    monkeypatch.setattr(copies_module, "SEGMENT_KEYS", 3)
    monkeypatch.setattr(copies_module, "BATCH_KEYS", 3)
    client = any_redis.client()
    client.mset({f"old:{at}": at for at in range(9)})
    before = values(client)
    dying = Dying(store, after=step)
    try:
        tidied(any_redis, dying)
    except Gone:
        pass
    else:
        assert dying.changes == 6
        assert step >= 6
    left = values(client)
    if archive.archives(store, "main"):
        back(any_redis, store)
    assert values(client) == before
    assert len(left) == 9 - 3 * (min(step, 6) // 2)


def test_a_worker_that_is_killed_leaves_nothing_removed_that_is_not_in_the_archive(
    any_redis: RedisServer, store: Store, tmp_path: Path
) -> None:
    client = any_redis.client()
    client.mset({f"old:{at}": "x" * at for at in range(4000)})
    before = values(client)
    script = "import sys; sys.path.insert(0, sys.argv[1]); import test_copies; test_copies.copy_here(*sys.argv[2:])"
    arguments = [str(Path(__file__).parent), any_redis.url, store.url, age.recipient_of(IDENTITY)]
    command = [sys.executable, "-c", script, *arguments]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    for _ in range(4):
        there = client.dbsize()
        with subprocess.Popen(command, env=environment) as process:
            eventually(lambda there=there: client.dbsize() < there or process.poll() is not None)
            process.kill()
    left = values(client)
    assert 0 < len(left) < len(before), "it was killed in the middle"
    assert left.items() <= before.items()
    for archive_id in archive.archives(store, "main"):
        back(any_redis, store, archive_id)
    assert values(client) == before


def copy_here(url: str, store_url: str, recipient: str) -> None:
    """What the test above kills."""
    copies_module.SEGMENT_KEYS = copies_module.BATCH_KEYS = 20
    server: Any = SimpleNamespace(url=url, client=lambda: redis.Redis.from_url(url))
    tidied(server, open_store(store_url), recipients=(recipient,))


# -- what comes back, and what does not --------------------------------------------------------------------------------


def test_what_is_there_by_now_is_left_alone_unless_it_is_to_be_replaced(any_redis: RedisServer, store: Store) -> None:
    client = any_redis.client()
    client.mset({"old:a": "old", "old:b": "old"})
    tidied(any_redis, store)
    client.set("old:a", "new")
    assert back(any_redis, store, dry_run=True) == Fates(restored=1, there=1)
    assert client.keys() == [b"old:a"]
    assert back(any_redis, store) == Fates(restored=1, there=1)
    assert client.mget("old:a", "old:b") == [b"new", b"old"]
    assert back(any_redis, store, replace=True, match="old:a") == Fates(restored=1, unmatched=1)
    assert client.get("old:a") == b"old"


def test_what_has_expired_meanwhile_stays_away(any_redis: RedisServer, store: Store) -> None:
    client = any_redis.client()
    client.set("old:a", 1, px=700)
    client.set("old:b", 1)
    tidied(any_redis, store)
    time.sleep(0.8)  # the server's clock is no one's to move
    assert back(any_redis, store) == Fates(restored=1, expired=1)
    assert client.keys() == [b"old:b"]


def test_the_newest_copy_of_a_key_counts(any_redis: RedisServer, store: Store) -> None:
    client = any_redis.client()
    for fence, value in enumerate(("first", "second")):
        client.set("old:a", value)
        tidied(any_redis, store, fence=lambda fence=fence: fence)
    assert back(any_redis, store) == Fates(restored=1, there=1)
    assert client.get("old:a") == b"second"
    assert back(any_redis, store, replace=True) == Fates(restored=2)
    assert client.get("old:a") == b"second"


def test_an_archive_that_somebody_changed_reaches_no_server(
    any_redis: RedisServer, store: Store, tmp_path: Path
) -> None:
    any_redis.client().set("old:a", 1)
    tidied(any_redis, store)
    (manifest,) = archive.find(store, "main", ID)
    path = tmp_path / manifest.object.key
    body = path.read_bytes()
    path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    with pytest.raises(Exception, match="segments cannot be opened"):
        back(any_redis, store)
    assert any_redis.client().keys() == []


def test_a_segment_is_no_backup_and_a_backup_no_segment(any_redis: RedisServer, store: Store) -> None:
    any_redis.client().set("old:a", 1)
    tidied(any_redis, store)
    (manifest,) = archive.find(store, "main", ID)
    with pytest.raises(Exception, match="not a manifest"):
        Manifest.read(manifest.body())
    assert ArchiveInvalid.code == 116

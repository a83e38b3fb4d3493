"""What the records leave behind is bounded, by count, by age, and against garbage."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from rig.installations import settings
from rig.redis_servers import RedisServer
from rig.runs import BACKUP, begun, dies, sent

from tasks.control import Client, connect
from tasks.errors import ControlUnreachable
from tasks.names import Keys
from tasks.records import ROUTINE_RUNS, Records
from tasks.settings import Settings

# -- bounds ----------------------------------------------------------------------------------------------


def test_the_oldest_go_when_there_are_too_many_of_one_target_and_task(
    records: Records, client: Client, names: Keys
) -> None:
    sent(records, "kept", "other")
    for number in range(8):
        sent(records, f"r{number}")
    assert [each.id for each in records.newest("main")] == ["r7", "r6", "r5", "r4", "r3"]
    assert client.exists(names.run("r2")) == 0
    assert records.read("kept").state == "queued"


def test_of_what_comes_every_few_minutes_few_are_kept_and_none_is_shown_unasked(
    client: Client, make_settings: Callable[..., Settings]
) -> None:
    records = Records(client, make_settings().control)
    sent(records, "backup")
    for number in range(ROUTINE_RUNS + 5):
        sent(records, f"r{number}", task="tasks.watch")
    assert len(records.newest("main", "tasks.watch", limit=1000)) == ROUTINE_RUNS
    assert [each.id for each in records.newest("main")] == ["backup"]


def test_a_run_at_work_keeps_its_record_however_many_come_after_it(
    records: Records, client: Client, names: Keys
) -> None:
    begun(records, "r")
    for number in range(8):
        sent(records, f"r{number}")
    assert records.beat("r", "n1", {}).ours
    assert "r" in [each.id for each in records.newest()]
    dies(client, names, "r")
    sent(records, "last")
    assert not records.exists("r")


def test_what_is_too_old_goes_from_the_index(records: Records, client: Client, names: Keys) -> None:
    sent(records, "old")
    index = names.runs("main", BACKUP)
    client.zadd(index, {"old": client.time()[0] - 3 * 86_400})
    sent(records, "new")
    assert client.zrange(index, 0, -1) == ["new"]


def test_an_index_that_outlived_its_records_shows_none(records: Records, client: Client, names: Keys) -> None:
    sent(records, "r1")
    sent(records, "r2")
    client.delete(names.run("r1"))
    assert [each.id for each in records.newest()] == ["r2"]


def every_key(client: Client, names: Keys) -> dict[str, int]:
    return {key: client.ttl(key) for key in client.scan_iter(f"{names.namespace}:*")}


def test_every_key_that_a_run_leaves_behind_ends_by_itself(records: Records, client: Client, names: Keys) -> None:
    for number in range(7):
        begun(records, f"r{number}")
        records.beat(f"r{number}", "n1", {})
        records.leave(f"r{number}", "n1", "failed", {"error": None})
    begun(records, "at work")
    records.ask_to_cancel("at work")
    client.delete(names.run("lost"))
    records.begin("lost", "n1", host="web1")  # the control Redis forgot it between two of our calls
    found = every_key(client, names)
    assert len(found) >= 8
    assert all(0 < ttl <= 2 * 86_400 for ttl in found.values()), found


GARBAGE = ["", " ", "a:b", "x" * 100_000, "\x00", "../..", "*", "ä", "tasks.backup"]


def test_garbage_for_a_target_shares_one_short_index(records: Records, client: Client, names: Keys) -> None:
    for number, target in enumerate(GARBAGE):
        sent(records, f"r{number}", target)
    indexes = client.zrange(names.indexes(), 0, -1)
    assert sorted(indexes) == sorted([names.runs("?", BACKUP), names.runs("tasks.backup", BACKUP)])
    assert max(map(len, every_key(client, names))) < 100
    assert {len(each.get("target", "")) for each in records.newest()} <= set(range(65))
    assert client.zcard(names.runs("?", BACKUP)) == 5


def test_the_index_of_indexes_forgets_targets_that_are_not_used_any_more(
    records: Records, client: Client, names: Keys
) -> None:
    sent(records, "r1", "gone")
    client.zadd(names.indexes(), {names.runs("gone", BACKUP): client.time()[0] - 3 * 86_400})
    sent(records, "r2", "main")
    assert client.zrange(names.indexes(), 0, -1) == [names.runs("main", BACKUP)]


# -- the control Redis is gone ---------------------------------------------------------------------------


def test_a_control_redis_that_is_gone_is_an_error_of_ours(any_redis: RedisServer) -> None:
    control = settings(any_redis.url).control
    client = connect(control)
    records = Records(client, control)
    any_redis.kill()
    with pytest.raises(ControlUnreachable, match="does not serve"):
        records.newest()
    with pytest.raises(ControlUnreachable, match="does not serve"):
        records.beat("r1", "n1", {})
    client.close()

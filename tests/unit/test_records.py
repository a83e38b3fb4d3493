"""Run records on a real Redis. A worker that stopped beating is played by taking its beat away."""

from __future__ import annotations

import pytest
from rig.runs import BACKUP, begun, dies, sent

from tasks.control import Client
from tasks.errors import RunCancelled, RunUnknown, StoreFailed
from tasks.names import Keys
from tasks.records import FINAL, Records

# -- a life ----------------------------------------------------------------------------------------------


def test_a_run_is_queued_running_and_ends_with_all_that_is_known(records: Records) -> None:
    records.queue("r1", task=BACKUP, target="main", slot="tasks.backup/main/2026-11-23T11:07Z", by="beat")
    assert records.read("r1").state == "queued"
    assert records.begin("r1", "n1", host="web1") == ("go", "")
    running = records.read("r1")
    assert (running.state, running.get("host"), running.final) == ("running", "web1", False)
    assert records.leave("r1", "n1", "succeeded", {"phases": {"ship": 1.5}, "figures": {"bytes": 7}, "error": None})
    ended = records.read("r1")
    assert ended.final
    assert ended.result() == {
        "id": "r1",
        "task": BACKUP,
        "target": "main",
        "slot": "tasks.backup/main/2026-11-23T11:07Z",
        "outcome": "succeeded",
        "error": None,
        "phases": {"ship": 1.5},
        "figures": {"bytes": 7},
    }
    created, started, over = (ended.moment(name) for name in ("created", "started", "ended"))
    assert created is not None
    assert started is not None
    assert over is not None
    assert created <= started <= over


def test_a_run_that_is_sent_twice_keeps_its_first_record(records: Records) -> None:
    sent(records, "r1", "main")
    first = records.read("r1")
    records.queue("r1", task="tasks.tidy", target="other", slot="s", by="somebody")
    assert records.read("r1") == first


def test_an_attempt_that_asks_twice_because_the_answer_was_lost_begins_once(records: Records) -> None:
    begun(records, "r1")
    assert records.begin("r1", "n1", host="web1") == ("go", "")
    assert "attempts" not in records.read("r1").fields
    assert records.patience_spent("r1")[0] == 0


def test_another_attempt_is_told_who_is_at_work(records: Records) -> None:
    begun(records, "r1")
    assert records.begin("r1", "n2", host="web2") == ("busy", "n1")
    assert records.read("r1").get("host") == "web1"


@pytest.mark.parametrize("state", sorted(FINAL - {"died"}))
def test_a_run_that_has_ended_stays_as_it_ended(records: Records, state: str) -> None:
    begun(records, "r1")
    assert records.leave("r1", "n1", state, {"error": None})
    ended = records.read("r1")
    assert records.begin("r1", "n2", host="web2") == ("final", state)
    assert not records.close("r1", "cancelled", {})
    assert not records.beat("r1", "n2", {}).ours
    assert not records.leave("r1", "n2", "failed", {})
    assert records.read("r1") == ended


def test_a_cancel_that_comes_after_the_end_changes_nothing(records: Records) -> None:
    begun(records, "r1")
    records.leave("r1", "n1", "succeeded", {})
    records.ask_to_cancel("r1")
    assert records.begin("r1", "n2", host="web2") == ("final", "succeeded")
    assert records.read("r1").state == "succeeded"


# -- the beat --------------------------------------------------------------------------------------------


def test_a_beat_carries_progress_and_learns_of_a_cancel(records: Records) -> None:
    begun(records, "r1")
    beaten = records.beat("r1", "n1", {"phase": "ship", "bytes": 5})
    assert (beaten.ours, beaten.cancelled) == (True, False)
    assert records.read("r1").get("progress") == {"phase": "ship", "bytes": 5}
    records.ask_to_cancel("r1")
    assert records.beat("r1", "n1", {}).cancelled


def test_readers_never_show_a_dead_run_as_running(records: Records, client: Client, names: Keys) -> None:
    begun(records, "r1")
    dies(client, names, "r1")
    assert records.read("r1").state == "died"
    assert records.find("r1").state == "died"
    assert [each.state for each in records.newest()] == ["died"]
    assert records.read("r1").final


def test_a_late_beat_brings_its_run_back_to_life(records: Records, client: Client, names: Keys) -> None:
    begun(records, "r1")
    dies(client, names, "r1")
    assert records.beat("r1", "n1", {}).ours
    assert records.read("r1").state == "running"


def test_a_dead_run_is_taken_over_and_the_record_tells_of_both_attempts(
    records: Records, client: Client, names: Keys
) -> None:
    begun(records, "r1")
    records.beat("r1", "n1", {"phase": "ship"})
    dies(client, names, "r1")
    assert records.begin("r1", "n2", host="web2") == ("go", "died")
    assert not records.beat("r1", "n1", {}).ours
    assert not records.leave("r1", "n1", "succeeded", {})
    record = records.read("r1")
    assert (record.state, record.get("host"), record.get("progress")) == ("running", "web2", None)
    (attempt,) = record.get("attempts")
    assert (attempt["nonce"], attempt["outcome"], attempt["host"]) == ("n1", "died", "web1")
    assert float(attempt["started"]) > 0


def test_what_the_parent_declared_dead_is_taken_over_as_well(records: Records) -> None:
    begun(records, "r1")
    assert records.close("r1", "died", {"code": 26}, when=("running",))
    assert records.read("r1").state == "died"
    assert records.begin("r1", "n2", host="web2") == ("go", "died")
    assert records.read("r1").get("error") is None
    assert len(records.read("r1").get("attempts")) == 1


# -- trying again ----------------------------------------------------------------------------------------


def test_failures_and_deaths_count_as_tries_and_waits_do_not(records: Records, client: Client, names: Keys) -> None:
    begun(records, "r1")
    records.leave("r1", "n1", "waiting", {})
    assert records.patience_spent("r1")[0] == 0
    records.begin("r1", "n2", host="web1")
    records.leave("r1", "n2", "waiting", {"error": StoreFailed("x").as_dict()}, failed_try=True)
    assert records.patience_spent("r1")[0] == 1
    records.begin("r1", "n3", host="web1")
    dies(client, names, "r1")
    records.begin("r1", "n4", host="web1")
    assert records.patience_spent("r1")[0] == 2


def test_waiting_is_counted_from_the_first_wait_until_it_got_to_work(
    records: Records, client: Client, names: Keys
) -> None:
    begun(records, "r1")
    assert records.patience_spent("r1")[1] == 0
    records.leave("r1", "n1", "waiting", {})
    client.hset(names.run("r1"), "waiting_since", client.time()[0] - 500)
    records.begin("r1", "n2", host="web1")
    records.leave("r1", "n2", "waiting", {})
    assert 499 <= records.patience_spent("r1")[1] < 600
    records.begin("r1", "n3", host="web1")
    records.leave("r1", "n3", "waiting", {}, failed_try=True)
    assert records.patience_spent("r1")[1] == 0


# -- ended from outside ----------------------------------------------------------------------------------


def test_a_run_that_nobody_has_begun_is_cancelled_at_once(records: Records) -> None:
    sent(records, "r1")
    error = RunCancelled("it was revoked").as_dict()
    assert records.close("r1", "cancelled", error, when=("queued", "waiting"))
    assert not records.close("r1", "cancelled", error, when=("queued", "waiting"))
    record = records.read("r1")
    assert (record.state, record.get("error")) == ("cancelled", error)
    assert records.begin("r1", "n1", host="web1") == ("final", "cancelled")


def test_a_cancel_before_the_beginning_is_seen_by_whoever_begins(records: Records) -> None:
    begun(records, "r1")
    records.leave("r1", "n1", "waiting", {"error": StoreFailed("x").as_dict()})
    records.ask_to_cancel("r1")
    assert records.begin("r1", "n2", host="web1") == ("final", "cancelled")
    record = records.read("r1")
    assert record.state == "cancelled"
    assert record.get("error") is None
    assert record.moment("ended") is not None


def test_a_running_run_is_not_closed_where_only_a_waiting_one_is_meant(records: Records) -> None:
    begun(records, "r1")
    assert not records.close("r1", "cancelled", {}, when=("queued", "waiting"))
    assert records.read("r1").state == "running"


def test_a_run_that_is_not_there_is_neither_closed_nor_cancelled_nor_noted(
    records: Records, client: Client, names: Keys
) -> None:
    assert not records.close("r1", "cancelled", {})
    records.ask_to_cancel("r1")
    records.note("r1", "writing", "key")
    assert not client.exists(names.run("r1"))
    assert not records.exists("r1")


# -- finding ---------------------------------------------------------------------------------------------


def test_a_run_is_found_by_a_beginning_that_only_it_has(records: Records) -> None:
    for run_id in ("abc1", "abc2", "b"):
        sent(records, run_id)
    assert records.find("b").id == "b"
    assert records.find("abc2").id == "abc2"
    with pytest.raises(RunUnknown, match="2 runs begin with 'abc'"):
        records.find("abc")
    with pytest.raises(RunUnknown, match="no runs begin with 'x'"):
        records.find("x")
    with pytest.raises(RunUnknown, match="no run 'x'"):
        records.read("x")


def test_a_whole_id_is_found_even_where_longer_ones_begin_with_it(records: Records) -> None:
    sent(records, "a")
    sent(records, "ab")
    assert records.find("a").id == "a"


def test_the_newest_come_first_across_targets_and_tasks(records: Records) -> None:
    order = [("r1", "main", BACKUP), ("r2", "other", BACKUP), ("r3", "main", "tasks.tidy"), ("r4", "other", BACKUP)]
    for run_id, target, task in order:
        sent(records, run_id, target, task)
    assert [each.id for each in records.newest()] == ["r4", "r3", "r2", "r1"]
    assert [each.id for each in records.newest(limit=2)] == ["r4", "r3"]
    assert [each.id for each in records.newest("main")] == ["r3", "r1"]
    assert [each.id for each in records.newest("main", BACKUP)] == ["r1"]
    assert [each.id for each in records.newest(task=BACKUP)] == ["r4", "r2", "r1"]
    assert records.newest("nobody") == []

"""What the control Redis says of all targets, in four round trips."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from rig.runs import BACKUP, begun, dies, sent

from tasks import lease
from tasks.control import Client
from tasks.errors import BucketMissing
from tasks.names import Keys
from tasks.records import Records
from tasks.settings import Settings
from tasks.status.ledger import SEARCHED, Ledger
from tasks.status.picture import Wanted

TARGETS: dict[str, dict[str, Any]] = {"main": {"host": "db1"}, "other": {}}
FAILURE = BucketMissing("no bucket").as_dict()


class Counted:
    """A client that counts its pipelines; nothing else of it is used."""

    def __init__(self, client: Client) -> None:
        self.trips = 0
        self._client = client

    def __getattr__(self, name: str) -> Any:
        self.trips += name == "pipeline"
        assert name in ("pipeline", "connection_pool")
        return getattr(self._client, name)


@pytest.fixture
def settings(make_settings: Callable[..., Settings]) -> Settings:
    return make_settings(targets=TARGETS)


@pytest.fixture
def ledger(client: Client, settings: Settings) -> Ledger:
    return Ledger(client, settings.control)


@pytest.fixture
def kept(client: Client, settings: Settings) -> Records:
    return Records(client, settings.control)


def ended(records: Records, run_id: str, state: str = "succeeded", **told: Any) -> str:
    begun(records, run_id)
    error = FAILURE if state == "failed" else None
    assert records.leave(run_id, "n1", state, {"error": error, "figures": {}} | told)
    return run_id


def shown(ledger: Ledger, settings: Settings, **wanted: Any) -> list[str]:
    return [each.id for each in ledger.read(settings.target, Wanted(**wanted)).runs.rows]


def test_it_makes_as_many_round_trips_for_many_runs_as_for_none(
    client: Client, settings: Settings, kept: Records
) -> None:
    counted = Counted(client)
    ledger = Ledger(counted, settings.control)
    ledger.read(settings.target, Wanted())
    first, counted.trips = counted.trips, 0
    for number in range(80):
        sent(kept, f"r{number}", "main" if number % 2 else "other", f"tasks.t{number % 7}")
    ledger.read(settings.target, Wanted())
    assert (first, counted.trips) == (4, 4)
    ledger.read(settings.target, Wanted(outcome="failed"))
    assert counted.trips == 8


def test_the_table_has_the_newest_runs_of_all_targets_first(
    ledger: Ledger, settings: Settings, kept: Records
) -> None:
    for number in range(6):
        sent(kept, f"r{number}", "main" if number % 2 else "other", "tasks.verify" if number % 3 else BACKUP)
    assert shown(ledger, settings) == ["r5", "r4", "r3", "r2", "r1", "r0"]
    assert shown(ledger, settings, target="main") == ["r5", "r3", "r1"]
    assert shown(ledger, settings, task=BACKUP) == ["r3", "r0"]
    assert shown(ledger, settings, target="nobody") == []


def test_page_after_page_shows_every_run_once(ledger: Ledger, settings: Settings, kept: Records) -> None:
    for number in range(23):
        sent(kept, f"r{number}", "main" if number % 5 else "other")
    seen: list[str] = []
    before = 0.0
    for _ in range(10):
        page = ledger.read(settings.target, Wanted(before=before, limit=4)).runs
        seen += [each.id for each in page.rows]
        before = page.older
        if not before:
            break
    assert seen == [f"r{number}" for number in reversed(range(23))]


def test_an_outcome_is_searched_for_in_the_newest_runs(ledger: Ledger, settings: Settings, kept: Records) -> None:
    for number in range(9):
        ended(kept, f"r{number}", "failed" if number % 4 == 0 else "succeeded")
    assert shown(ledger, settings, outcome="failed") == ["r8", "r4", "r0"]
    page = ledger.read(settings.target, Wanted(outcome="failed", limit=2)).runs
    assert [each.id for each in page.rows] == ["r8", "r4"]
    assert shown(ledger, settings, outcome="failed", before=page.older) == ["r0"]
    assert page.looked == 9 <= SEARCHED


def test_a_run_that_died_is_found_as_died_and_not_as_running(
    ledger: Ledger, settings: Settings, kept: Records, client: Client, names: Keys
) -> None:
    begun(kept, "dead")
    begun(kept, "alive")
    dies(client, names, "dead")
    assert shown(ledger, settings, outcome="died") == ["dead"]
    assert shown(ledger, settings, outcome="running") == ["alive"]


def test_a_card_gets_the_newest_run_what_is_still_to_end_and_the_newest_that_succeeded(
    ledger: Ledger, settings: Settings, kept: Records
) -> None:
    ended(kept, "old")
    ended(kept, "good")
    begun(kept, "working")
    ended(kept, "bad", "failed")
    heads = ledger.read(settings.target, Wanted()).heads
    assert [each.id for each in heads["main", BACKUP]] == ["bad", "working", "good"]


def test_it_says_who_holds_a_lease_and_what_is_paused(
    ledger: Ledger, settings: Settings, client: Client, names: Keys
) -> None:
    lease.acquire(client, names, ["target:main", "host:db1"], token="t", holder="backup of main, run r1", ttl=60)
    client.hset(names.paused("other"), "tasks.backup", "maintenance")
    page = ledger.read(settings.target, Wanted())
    assert page.leases == {"target:main": "backup of main, run r1", "host:db1": "backup of main, run r1"}
    assert page.paused == {"other": {"tasks.backup": "maintenance"}}


def test_a_malformed_record_is_shown_as_unreadable_and_the_rest_works(
    ledger: Ledger, settings: Settings, kept: Records, client: Client, names: Keys
) -> None:
    for run_id in ("good", "bad"):
        ended(kept, run_id)
    client.hset(names.run("bad"), mapping={"figures": "{", "phases": "[1]", "error": '"oops"', "created": "soon"})
    bad, good = ledger.read(settings.target, Wanted()).runs.rows
    assert good.unreadable == ()
    assert bad.unreadable == ("error", "figures", "phases")
    assert (bad.get("figures", {}), bad.get("error"), bad.moment("created")) == ({}, None, None)

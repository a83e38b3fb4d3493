"""What is proposed for what was found: the server, where redkeep's own records go, and minutes that do not meet."""

from __future__ import annotations

import pytest

from tasks.discovery import Found
from tasks.proposal import SPREAD, TAKEN, minutes_of, propose

SITE = Found("redis://127.0.0.1:6379", name="redis", version="7.0.15", run_id="a", keys=5, data_dir="/var/lib/redis")
EMPTY = Found("redis://127.0.0.1:6390", name="redis", version="7.0.15", run_id="b")
OTHER = Found("unix:///run/redis.sock", name="redis", version="7.0.15", run_id="c", keys=9)
LOCKED = Found("redis://127.0.0.1:6379", locked=True)


def test_alone_it_also_carries_what_is_ours() -> None:
    proposal = propose(SITE, [], "db1.example.com")
    assert (proposal.server, proposal.control) == ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379/0")
    assert (proposal.data_dir, proposal.host) == ("/var/lib/redis", "db1")
    assert proposal.reasons == (f"Found {SITE}.",)


def test_an_empty_one_beside_it_carries_what_is_ours() -> None:
    proposal = propose(SITE, [OTHER, EMPTY], "db1")
    assert proposal.control == "redis://127.0.0.1:6390/0"
    assert proposal.reasons[1:] == (f"  Also {OTHER}.", f"  redkeep's own messages and records go to {EMPTY}.")


@pytest.mark.parametrize("beside", [OTHER, Found(EMPTY.url, primary=False), Found(EMPTY.url, locked=True)])
def test_one_with_keys_of_its_own_a_replica_or_a_locked_one_does_not(beside: Found) -> None:
    assert propose(SITE, [beside], "db1").control == "redis://127.0.0.1:6379/0"


def test_a_socket_needs_no_database() -> None:
    assert propose(OTHER, [], "db1").control == "unix:///run/redis.sock"


def test_the_password_of_a_locked_one_comes_from_the_environment_and_it_is_said() -> None:
    proposal = propose(LOCKED, [], "db1")
    assert proposal.server == "redis://:${REDIS_PASSWORD}@127.0.0.1:6379"
    assert proposal.control == "redis://:${REDIS_PASSWORD}@127.0.0.1:6379/0"
    assert "set REDIS_PASSWORD in the environment" in proposal.reasons[-1]


def test_a_long_list_is_cut() -> None:
    proposal = propose(SITE, [OTHER] * 7, "db1")
    assert proposal.reasons[-1] == "  And 3 more."


@pytest.mark.parametrize("host", ["", "vm", *(f"db{number}" for number in range(60))])
def test_no_two_tasks_of_a_host_have_the_same_minute(host: str) -> None:
    minutes = minutes_of(host)
    assert set(minutes) == set(SPREAD)
    assert len(set(minutes.values()) | TAKEN) == len(SPREAD) + len(TAKEN)

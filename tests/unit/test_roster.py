"""The roster: who was started with which settings, and nothing by which a password could be tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rig.installations import settings

from tasks import roster
from tasks.control import Client
from tasks.settings import Settings

MakeSettings = Callable[..., Settings]


def on(**fields: Any) -> dict[str, str]:
    return roster.digests(settings("redis://127.0.0.1:1", targets={"main": fields}))


def test_each_table_that_matters_has_a_digest_of_its_own(make_settings: MakeSettings) -> None:
    tables = roster.digests(make_settings(targets={"main": {}, "twin": {}}))
    assert set(tables) == {"[control]", "[store]", "[encryption]", "[[target]] main", "[[target]] twin"}


def test_a_digest_changes_with_what_must_be_equal_everywhere() -> None:
    plain = on()
    for fields in ({"host": "db1"}, {"url": "redis://elsewhere"}, {"backup": {"schedule": "1 * * * *"}}):
        assert on(**fields) != plain
    assert settings("redis://127.0.0.1:1").control.visibility != 60
    other = roster.digests(settings("redis://127.0.0.1:1", visibility="60s"))
    assert other["[control]"] != roster.digests(settings("redis://127.0.0.1:1"))["[control]"]


def test_no_password_has_any_part_in_it() -> None:
    for one, other in [("redis://u:one@db1", "redis://u:other@db1"), ("redis://:one@db1", "redis://db1")]:
        assert on(url=one) == on(url=other)
        assert roster.digests(settings(one)) == roster.digests(settings(other))
    config = [{"persistence": {"config": {"proc-title-template": secret}}} for secret in ("one", "other")]
    assert on(**config[0]) == on(**config[1])


def test_where_something_lies_on_one_host_is_no_difference() -> None:
    assert on(data_dir="/var/lib/redis") == on()
    assert on(drill={"redis_server": "/opt/redis-server"}) == on(drill={})


def test_the_last_word_of_a_process_counts(make_settings: MakeSettings, client: Client, namespace: str) -> None:
    roster.enlist(make_settings(), "a@here")
    roster.enlist(make_settings(visibility="7m"), "a@here")
    (entry,) = roster.entries(client, namespace).values()
    assert entry.visibility == 420
    assert roster.differing(entry, roster.digests(make_settings())) == ["[control]"]


def test_only_the_newest_are_kept(make_settings: MakeSettings, client: Client, namespace: str) -> None:
    for number in range(roster.KEPT + 2):
        roster.enlist(make_settings(), f"backup@{number}")
    known = roster.entries(client, namespace)
    assert len(known) == roster.KEPT
    assert not {"backup@0", "backup@1"} & set(known)

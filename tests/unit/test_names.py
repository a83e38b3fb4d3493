"""Ids and keys: what is put together can be taken apart, stays under its prefix, and shows no password."""

from __future__ import annotations

import string
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks import names

MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2199, 1, 1), timezones=st.just(UTC))
TARGETS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}", fullmatch=True)


@given(MOMENTS, TARGETS)
def test_a_slot_names_its_minute_and_gives_the_id_of_its_backup(due: datetime, target: str) -> None:
    due = due.replace(second=0, microsecond=0)
    slot = names.slot_name("tasks.backup", target, due)
    assert names.is_backup_id(names.slot_id(slot))
    assert names.moment_of(names.slot_id(slot)) == due
    assert slot.split("/")[:2] == ["tasks.backup", target]


@given(MOMENTS)
def test_ids_of_runs_by_hand_never_meet_those_of_slots_nor_each_other(moment: datetime) -> None:
    one, two = (names.manual_id(moment, names.new_nonce()) for _ in range(2))
    assert one != two
    assert names.is_backup_id(one)
    assert len(one) > len(names.stamp(moment))
    assert names.moment_of(one) == moment.replace(microsecond=0)


@given(st.lists(MOMENTS, min_size=2))
def test_ids_sort_as_their_moments_do(moments: list[datetime]) -> None:
    stamps = [names.stamp(moment) for moment in sorted(moments)]
    assert stamps == sorted(stamps)


def test_a_moment_of_another_zone_is_spelled_in_utc() -> None:
    local = datetime(2026, 11, 23, 13, 7, tzinfo=timezone(timedelta(hours=2)))
    assert names.stamp(local) == "20261123T110700Z"
    assert names.slot_name("tasks.backup", "main", local).endswith("/2026-11-23T11:07Z")


@given(st.text())
def test_no_text_that_is_taken_for_a_target_or_id_leaves_its_folder(text: str) -> None:
    if names.is_target(text) or names.is_backup_id(text):
        assert set(text) <= set(string.ascii_letters + string.digits + "_.-")
        assert not text.startswith(".")
        assert text


@pytest.mark.parametrize("text", ["", ".", "..", "a/b", "a:b", "a b", "-a", "a\n", "ä", 64 * "a"])
def test_what_is_no_target_is_known_as_none(text: str) -> None:
    assert not names.is_target(text)


@given(TARGETS, MOMENTS)
def test_a_manifest_never_stands_where_a_snapshot_does(target: str, moment: datetime) -> None:
    backup_id = names.manual_id(moment, names.new_nonce())
    manifest = names.manifest_key(target, backup_id)
    snapshot = names.snapshot_key(target, backup_id, names.new_nonce(), ("zstd:1", "age"))
    assert manifest.startswith(names.manifest_prefix(target))
    assert not snapshot.startswith(names.manifest_prefix(target))
    assert snapshot.startswith(f"{target}/snapshots/")


def test_two_attempts_at_one_slot_never_write_the_same_object() -> None:
    keys = {names.snapshot_key("main", "20261123T110700Z", names.new_nonce(), ()) for _ in range(100)}
    assert len(keys) == 100


def test_every_task_has_a_queue_and_only_those_near_the_files_follow_a_worker() -> None:
    for task, queue in names.QUEUES.items():
        assert names.queue_of(f"tasks.{task}") == queue
        near = names.queue_of(f"tasks.{task}", "db1")
        assert near == (f"{queue}.db1" if queue in ("backup", "tidy", "rewrite") else queue)


SECRETS = st.text(min_size=6).filter(lambda text: text.strip() and text.isprintable())


@given(st.sampled_from(["redis", "rediss", "https"]), SECRETS, SECRETS)
def test_a_masked_url_shows_neither_user_nor_password_nor_query(scheme: str, user: str, password: str) -> None:
    user, password = (quote("\u00a4" + text, safe="") for text in (user, password))
    shown = names.masked_url(f"{scheme}://{user}:{password}@db1:6380/0?password={password}")
    assert shown == f"{scheme}://db1:6380/0"
    assert names.masked_url(f"unix://{user}:{password}@/run/x.sock?password={password}") == "unix:///run/x.sock"


def test_keys_of_two_installations_never_meet() -> None:
    one, two = names.Keys("one"), names.Keys("two")
    for made in (
        lambda keys: keys.lease("target:main"),
        lambda keys: keys.fence(),
        lambda keys: keys.slot("s"),
        lambda keys: keys.run("r"),
        lambda keys: keys.alive("r"),
        lambda keys: keys.runs("main", "tasks.backup"),
        lambda keys: keys.indexes(),
        lambda keys: keys.paused("main"),
    ):
        assert made(one).startswith("one:")
        assert made(two) == made(one).replace("one:", "two:", 1)

"""The order of the steps, and what is left alone with which reason: facts in, plan out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import PurePosixPath

import pytest

from tasks.enforce.facts import AofFiles, Facts
from tasks.enforce.plan import Plan
from tasks.enforce.policy import plan
from tasks.enforce.start import SILENT
from tasks.enforce.values import Difference

WANTED = {"save": "", "appendonly": "yes", "appendfsync": "everysec"}
FRESH = Facts(
    cli="redis-cli -u redis://db1:6379",
    actual={"save": "3600 1", "appendonly": "no", "appendfsync": "everysec"},
    config_file="/etc/redis.conf",
    file=SILENT | {"save": "3600 1"},
    flags="none",
)
"""A server with save points and no AOF, of which everything is known."""
AOF = AofFiles(PurePosixPath("/data/appendonlydir"), datetime(2026, 11, 23, tzinfo=UTC))


def actual(**values: str) -> dict[str, str]:
    return {**FRESH.actual, **values}


def commands(planned: Plan) -> list[str]:
    return [each.command for each in planned.steps]


def held(planned: Plan) -> dict[str, str]:
    return {each.name: each.why for each in planned.held}


def test_the_save_points_go_last_and_only_after_the_file_names_aof() -> None:
    planned = plan(WANTED, FRESH, {})
    assert commands(planned) == [
        "CONFIG REWRITE",
        "CONFIG SET appendonly yes, and its first rewrite",
        "CONFIG REWRITE",
        'CONFIG SET save ""',
        "CONFIG REWRITE",
    ]
    assert (planned.held, planned.drifted, planned.alarm) == ((), (), "")
    assert all(each.why for each in planned.steps)


def test_a_server_as_it_should_be_needs_nothing() -> None:
    right = replace(FRESH, actual=actual(save="", appendonly="yes"), aof_on=True, whole=True, file=WANTED)
    assert plan(WANTED, right, WANTED) == Plan()


def test_other_settings_are_set_before_aof_comes_on() -> None:
    facts = replace(FRESH, actual=actual(appendfsync="no", hz="10"))
    assert commands(plan(WANTED | {"hz": "20"}, facts, {}))[:3] == [
        "CONFIG REWRITE", "CONFIG SET appendfsync everysec", "CONFIG SET hz 20",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"config_file": "", "file": None}, "without a configuration file"),
        ({"fleeting": True}, "goes when the container is made anew"),
        ({"refused": "the server cannot write its own file"}, "cannot write its own file"),
        ({"strangers": (Difference("maxmemory", "1gb", "0"),)}, "maxmemory '1gb' there, '0' now"),
    ],
    ids=["no file", "in a layer", "not written", "differs"],
)
def test_what_cannot_last_leaves_aof_on_live_and_the_save_points(changes: dict[str, object], why: str) -> None:
    planned = plan(WANTED, replace(FRESH, **changes), {})  # type: ignore[arg-type]
    assert commands(planned) == ["CONFIG SET appendonly yes, and its first rewrite"]
    first, save = planned.held
    assert why in first.why
    assert save.name == "save"
    lines = " ".join(first.advice(aof_on=False))
    assert "appendonly yes" in lines
    assert 'save ""' in lines
    assert lines.startswith("once AOF is on and its first rewrite done, never before: ")
    assert first.advice(aof_on=True) == first.lines


@pytest.mark.parametrize("flags", ["contrary", "unseen"])
def test_the_save_points_stay_while_a_flag_may_switch_aof_off(flags: str) -> None:
    planned = plan(WANTED, replace(FRESH, flags=flags), {})  # type: ignore[arg-type]
    assert commands(planned)[-1] == "CONFIG REWRITE"
    assert 'CONFIG SET save ""' not in commands(planned)
    assert "--appendonly no" in held(planned)["save"]


def test_aof_that_came_up_with_the_server_needs_no_look_at_its_flags() -> None:
    facts = replace(
        FRESH, flags="unseen", aof_on=True, whole=True, since_start=True, actual=actual(appendonly="yes"), file=WANTED
    )
    assert commands(plan(WANTED, facts, {})) == ["CONFIG REWRITE", 'CONFIG SET save ""', "CONFIG REWRITE"]


def test_what_the_operator_writes_always_names_aof_where_a_start_would_not_bring_it() -> None:
    facts = replace(FRESH, config_file="", file=None, aof_on=True, whole=True, actual=actual(appendonly="yes"))
    (told, _) = plan(WANTED, facts, {}).held
    assert told.lines == ('where the server is started: --save "" --appendonly yes',)


@pytest.mark.parametrize(
    ("facts", "remembered"),
    [(replace(FRESH, aof=AOF), {}), (FRESH, {"appendonly": "yes"})],
    ids=["its files", "a record"],
)
def test_aof_found_off_is_an_alarm_and_nothing_else(facts: Facts, remembered: dict[str, str]) -> None:
    planned = plan(WANTED, facts, remembered)
    assert planned.alarm.startswith("AOF is off, and ")
    assert (planned.steps, planned.held) == ((), ())
    assert "/etc/redis.conf" in planned.way_out
    assert "CONFIG SET appendonly yes" in planned.way_out


def test_aof_is_not_switched_on_where_nobody_can_see_what_it_would_write_over() -> None:
    planned = plan(WANTED, replace(FRESH, blind="no data_dir is set"), {})
    assert commands(planned) == ["CONFIG REWRITE"]
    assert "no data_dir is set" in held(planned)["appendonly"]
    assert "all that keeps the data" in held(planned)["save"]


def test_aof_is_never_switched_off() -> None:
    facts = replace(FRESH, aof_on=True, whole=True, actual=actual(appendonly="yes"))
    planned = plan(WANTED | {"appendonly": "no"}, facts, {})
    assert held(planned)["appendonly"] == "redkeep never switches AOF off"
    assert "all that keeps the data" in held(planned)["save"]
    assert not any("SET" in each for each in commands(planned))


def test_other_save_points_may_be_set_at_any_time() -> None:
    facts = replace(FRESH, flags="unseen")
    planned = plan({"save": "900 1", "appendonly": "no"}, facts, {})
    assert commands(planned) == ["CONFIG REWRITE", 'CONFIG SET save "900 1"', "CONFIG REWRITE"]


def test_settings_that_were_right_before_have_drifted() -> None:
    facts = replace(FRESH, actual=actual(appendfsync="no", appendonly="yes"), aof_on=True, whole=True)
    planned = plan(WANTED, facts, {"appendfsync": "everysec", "appendonly": "yes"})
    assert planned.drifted == ("appendfsync",)


def test_a_new_wish_is_no_drift() -> None:
    planned = plan(WANTED | {"appendfsync": "always"}, FRESH, {"appendfsync": "everysec"})
    assert planned.drifted == ()


def test_what_is_set_but_not_in_the_file_is_written_there() -> None:
    facts = replace(FRESH, actual=actual(save="", appendonly="yes"), aof_on=True, whole=True)
    planned = plan(WANTED, facts, WANTED)
    assert planned.differences == ()
    assert planned.unlasting == ("save", "appendonly")
    assert commands(planned) == ["CONFIG REWRITE"]


def test_a_name_that_the_server_lacks_stops_everything() -> None:
    planned = plan(WANTED | {"aof-time-travel": "yes"}, FRESH, {})
    assert (planned.unknown, planned.steps) == (("aof-time-travel",), ())


def test_an_aof_that_is_not_whole_yet_is_waited_for_before_the_file_names_it() -> None:
    facts = replace(FRESH, aof_on=True, actual=actual(appendonly="yes"))
    assert commands(plan(WANTED, facts, {}))[:2] == ["wait for the first AOF rewrite", "CONFIG REWRITE"]

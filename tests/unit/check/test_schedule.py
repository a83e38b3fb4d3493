"""The doctor on the schedule: what would meet."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rig.checked import Installation, found

from tasks.check.schedule import Due, collisions

NOW = datetime(2026, 11, 25, 8, 30, tzinfo=UTC)


def due(task: str, line: str, *holds: str) -> Due:
    return Due(f"tasks.{task}", "main", line, frozenset(holds))


@pytest.mark.parametrize(
    ("one", "other", "when"),
    [
        ("7 * * * *", "7 3 * * *", timedelta(hours=18, minutes=37)),
        ("*/5 * * * *", "31 * * * *", None),
        ("0 4 * * 0", "0 4 29 * *", timedelta(days=3, hours=19, minutes=30)),
        ("7 * * * *", "7 * * * *", timedelta(minutes=37)),
    ],
)
def test_two_that_hold_the_same_meet_where_both_are_due(one: str, other: str, when: timedelta | None) -> None:
    met = list(collisions([due("backup", one, "target:main"), due("tidy", other, "target:main")], NOW))
    assert [each[2] for each in met] == ([NOW + when] if when else [])


def test_two_that_share_nothing_may_be_due_together() -> None:
    assert list(collisions([due("backup", "7 * * * *", "a"), due("backup", "7 * * * *", "b")], NOW)) == []


def test_targets_on_one_host_that_are_due_together_are_advised_to_move(installed: Installation) -> None:
    other = '[[target]]\nname = "other"\nurl = "redis://127.0.0.1:1"\nhost = "db1"\n\n[alerts]'
    settings = installed(('# host = "db1"', 'host = "db1"'), ("# [alerts]", other))
    warned = [each for each in found(settings) if each.what == "schedule" and "backup" in each.told]
    assert [each.level for each in warned] == ["warn"]
    assert warned[0].told.startswith("backup main and backup other are both due at ")
    assert warned[0].remedy == "Move one by some minutes: [target.backup] schedule of other."

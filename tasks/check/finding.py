"""One row of the doctor's table: pure data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from tasks.errors import RedkeepError

__all__ = ["Finding", "Findings", "Level", "safely"]

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and what to do where it is not well."""

    what: str
    level: Level
    told: str
    remedy: str = ""


Findings = Iterator[Finding]


def safely(what: str, look: Callable[[], Findings]) -> Findings:
    """An error of ours is a finding like any other, and comes last: what was to be looked at after it is not known."""
    try:
        yield from look()
    except RedkeepError as error:
        yield Finding(what, "fail", str(error), error.hint)

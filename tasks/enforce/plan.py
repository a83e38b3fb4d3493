"""What a plan consists of: steps and their reasons, and what is held back. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tasks.enforce.values import Difference

__all__ = ["Do", "Held", "Plan", "Step", "quoted"]

Do = Literal["wait for AOF", "rewrite the file", "set", "switch AOF on"]


@dataclass(frozen=True)
class Step:
    """One thing to do; `name` and `value` where something is set."""

    do: Do
    why: str
    name: str = ""
    value: str = ""

    @property
    def command(self) -> str:
        """As one would type it.

        >>> Step("set", "", "save", "").command
        'CONFIG SET save ""'
        """
        match self.do:
            case "wait for AOF":
                return "wait for the first AOF rewrite"
            case "rewrite the file":
                return "CONFIG REWRITE"
            case "set":
                return f"CONFIG SET {self.name} {quoted(self.value)}"
            case "switch AOF on":
                return "CONFIG SET appendonly yes, and its first rewrite"


@dataclass(frozen=True)
class Held:
    """Something that is not done, and why.

    Attributes:
        lines: what the operator can do about it.
        after_aof: but only once AOF is on. A server that finds `appendonly yes` and no AOF starts empty, and then
            writes over its dump.
    """

    name: str
    why: str
    lines: tuple[str, ...] = ()
    after_aof: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.why}"

    def advice(self, *, aof_on: bool) -> tuple[str, ...]:
        """What the operator can do about it, where AOF is on or not."""
        wait = ("once AOF is on and its first rewrite done, never before:",) if self.after_aof and not aof_on else ()
        return wait + self.lines


@dataclass(frozen=True)
class Plan:
    """
    Attributes:
        differences: what is not as wanted.
        drifted: those of them that were right before: somebody changed them back.
        unlasting: set as wanted now, but the file says otherwise, so a restart takes it away.
        unknown: wanted names that this server does not have.
        alarm: AOF is off where it was on. Nothing is done then.
        way_out: what to do about the alarm.
    """

    differences: tuple[Difference, ...] = ()
    drifted: tuple[str, ...] = ()
    unlasting: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    held: tuple[Held, ...] = ()
    alarm: str = ""
    way_out: str = ""


def quoted(value: str) -> str:
    """As a configuration file and a command line take it.

    >>> quoted(""), quoted("everysec"), quoted("900 1")
    ('""', 'everysec', '"900 1"')
    """
    return value if value and " " not in value else f'"{value}"'

"""Every server that there can be, every plan for it, a crash after every step: it never comes up without its data.

The model: a start has AOF on as the file says, unless a flag says no; with AOF it has what a whole AOF holds, and
nothing from less; without AOF it has the dump, which is current only while there are save points.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import get_args

from tasks.enforce.facts import Facts
from tasks.enforce.plan import Step
from tasks.enforce.policy import plan
from tasks.enforce.start import Flags
from tasks.enforce.values import Difference

WANTED = {"save": "", "appendonly": "yes", "appendfsync": "everysec"}
POINTS = "3600 1"


@dataclass(frozen=True)
class World:
    """A server as it is, whatever anybody can see of it. `file` is None where it was started without one."""

    appendonly: str
    save: str
    whole: bool
    file: tuple[str, str] | None
    flag: bool
    writable: bool

    @property
    def survives(self) -> bool:
        """A crash now costs nothing that the save points, or the AOF, had."""
        comes_on = self.file is not None and self.file[0] == "yes" and not self.flag
        return self.whole if comes_on else self.save != ""

    def after(self, step: Step) -> World:
        match step.do:
            case "wait for AOF":
                return replace(self, whole=True)
            case "switch AOF on":
                return replace(self, appendonly="yes", whole=True)
            case "set":
                return replace(self, **{step.name: step.value}) if step.name in ("save", "appendonly") else self
            case "rewrite the file":
                return replace(self, file=(self.appendonly, self.save))

    def while_under_way(self, step: Step) -> World:
        """In the middle of a step that takes its time."""
        return replace(self, appendonly="yes", whole=False) if step.do == "switch AOF on" else self


def worlds() -> Iterator[World]:
    files = [None, *product(("yes", "no"), ("", POINTS))]
    for appendonly, save, whole, file, flag, writable in product(
        ("yes", "no"), ("", POINTS), (True, False), files, (True, False), (True, False)
    ):
        if appendonly == "yes" or not whole:
            yield World(appendonly, save, whole, file, flag, writable)


def facts_of(world: World) -> Iterator[Facts]:
    """All that somebody may know of it, none of it wrong."""
    comes_on = world.file is not None and world.file[0] == "yes" and not world.flag
    flags = ("contrary", "unseen") if world.flag else get_args(Flags)
    for flag, read, since_start, blind, stranger in product(
        flags, (True, False), (True, False), ("", "not from here"), (True, False)
    ):
        if since_start and not (comes_on and world.whole and world.appendonly == "yes"):
            continue
        file = {"appendonly": world.file[0], "save": world.file[1]} if world.file and read else None
        yield Facts(
            cli="redis-cli",
            actual={"appendonly": world.appendonly, "save": world.save, "appendfsync": "no"},
            config_file="/etc/redis.conf" if world.file else "",
            file=file,
            strangers=(Difference("maxmemory", "1gb", "0"),) if stranger and file else (),
            flags=flag,
            aof_on=world.appendonly == "yes",
            since_start=since_start,
            whole=world.whole,
            blind=blind,
        )


def carried(world: World, facts: Facts) -> Iterator[tuple[World, Step]]:
    """The server after, and in the middle of, each step; where it cannot write its file, by the plan without that."""
    steps = list(plan(WANTED, facts, {}).steps)
    while steps:
        step = steps.pop(0)
        yield world.while_under_way(step), step
        if step.do == "rewrite the file" and not world.writable:
            known = replace(
                facts,
                refused="read-only",
                actual={**facts.actual, "appendonly": world.appendonly, "save": world.save},
                aof_on=world.appendonly == "yes",
                whole=world.whole,
            )
            steps = list(plan(WANTED, known, {}).steps)
            continue
        world = world.after(step)
        yield world, step


def test_no_step_of_any_plan_costs_the_data() -> None:
    tried = reached = 0
    for world in worlds():
        if not world.survives:
            continue
        for facts in facts_of(world):
            for state, step in carried(world, facts):
                tried += 1
                assert state.survives, (world, facts, step)
                reached += (state.appendonly, state.save, state.file) == ("yes", "", ("yes", ""))
    assert tried > 1000
    assert reached > 50, "and the wanted state is reached"

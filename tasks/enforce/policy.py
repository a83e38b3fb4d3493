"""What is to be done about a server, step by step with the reasons, and what cannot be done. Pure.

The order is the whole of it (seen on five servers to lose the data set otherwise): the server shows that it can write
its own file; AOF is switched on and its first rewrite proven; the file says so; only then the save points go, and the
file says that too. Whatever breaks in between leaves at least one way to persist that survives a restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Self

from tasks.enforce.facts import Facts
from tasks.enforce.plan import Held, Plan, Step, quoted
from tasks.enforce.values import Difference, differences, same

__all__ = ["plan", "unlasting"]


def plan(wanted: Mapping[str, str], facts: Facts, remembered: Mapping[str, str]) -> Plan:
    """
    Args:
        wanted: as :func:`tasks.enforce.values.wanted_of` gives it.
        remembered: settings that an earlier run saw or made right, as they were wanted then.
    """
    found = differences(wanted, facts.actual)
    noticed = Plan(
        differences=found,
        drifted=tuple(each.name for each in found if _was_right(each, remembered)),
        unlasting=tuple(unlasting(wanted, facts)),
        unknown=tuple(name for name in wanted if name not in facts.actual),
    )
    off = any(each.name == "appendonly" and each.wanted == "yes" for each in found)
    if noticed.unknown:
        return noticed
    if off and (facts.aof or remembered.get("appendonly") == "yes"):
        return replace(noticed, alarm=_alarm(facts), way_out=_way_out(facts))
    route = _Route(wanted, facts, noticed).laid()
    return replace(noticed, steps=tuple(route.steps), held=tuple(route.held))


def _was_right(difference: Difference, remembered: Mapping[str, str]) -> bool:
    before = remembered.get(difference.name)
    return before is not None and same(difference.name, before, difference.wanted)


def unlasting(wanted: Mapping[str, str], facts: Facts) -> Iterator[str]:
    """Names that are as wanted only until the next start, as far as the file tells."""
    for name, value in wanted.items():
        right = name in facts.actual and same(name, value, facts.actual[name])
        if right and facts.file and not same(name, value, facts.file.get(name, value)):
            yield name


# -- the alarm -------------------------------------------------------------------------------------------


def _alarm(facts: Facts) -> str:
    there = f"its files are there: {facts.aof}" if facts.aof else "it was on when redkeep last looked"
    return f"AOF is off, and {there}"


def _way_out(facts: Facts) -> str:
    """Nobody but the operator knows which of the two data sets counts."""
    place = str(facts.aof.path) if facts.aof else "the AOF"
    where = f"appendonly yes in {facts.config_file}" if facts.config_file else "--appendonly yes"
    return (
        f"Nothing was changed. See who switched it off. If {place} has what counts, restart the server with {where}: "
        f"it then loads that. If what the server holds now counts, keep a copy of {place}, then say "
        f"`{facts.cli} CONFIG SET appendonly yes`, which writes a new one. Or restore a backup with `redkeep restore`."
    )


# -- the route -------------------------------------------------------------------------------------------


class _Route:
    """Lays the steps of one plan, in the one order that keeps the data."""

    def __init__(self, wanted: Mapping[str, str], facts: Facts, noticed: Plan) -> None:
        self.wanted = wanted
        self.facts = facts
        self.unkept = _unkept(facts)
        self.open = {each.name: each.wanted for each in noticed.differences}
        self.unlasting = noticed.unlasting
        self.steps: list[Step] = []
        self.held: list[Held] = []

    def laid(self) -> Self:
        if self.open or self.unlasting:
            if self.unkept:
                named = ", ".join([*self.open, *self.unlasting])
                why = f"it would not outlast a restart: {self.unkept}"
                self.held.append(Held(named, why, self._lines(), after_aof=True))
            if self.facts.aof_on and not self.facts.whole:
                self.steps.append(Step("wait for AOF", "a restart from less than all of it would start empty"))
            self._file("shows that the server can write its own file, before anything is changed")
            self._others()
            self._appendonly()
            self._save()
            self._file("a restart finds it so")
        return self

    def _others(self) -> None:
        for name in self.open:
            if name not in ("save", "appendonly"):
                self._set(name)

    def _file(self, why: str) -> None:
        if not self.unkept and (not self.steps or self.steps[-1].do != "rewrite the file"):
            self.steps.append(Step("rewrite the file", why))

    def _set(self, name: str, why: str = "as the settings want it") -> None:
        self.steps.append(Step("set", why, name, self.open[name]))

    def _appendonly(self) -> None:
        if "appendonly" not in self.open:
            return
        if self.wanted["appendonly"] == "no":
            lines = (f"{self.facts.cli} CONFIG SET appendonly no",)
            self.held.append(Held("appendonly", "redkeep never switches AOF off", lines))
        elif self.facts.blind:
            why = f"an AOF may lie there already, and this would write over it, but {self.facts.blind}"
            lines = (f"look there; if there is none: {self.facts.cli} CONFIG SET appendonly yes",)
            self.held.append(Held("appendonly", why, lines))
        else:
            self.steps.append(Step("switch AOF on", "while the save points still stand"))

    def _save(self) -> None:
        if "save" not in self.open:
            return
        if self.open["save"].strip():
            self._set("save")
        elif why := self._still_needed():
            flag = self.facts.flags == "contrary" and not self.unkept
            lines = ("if it is there, take --appendonly no from where the server is started",) if flag else ()
            self.held.append(Held("save", f"the save points stay, {why}", lines))
        else:
            self._file("AOF is in the file before the save points go")
            self._set("save", "AOF has all they kept, and will after a restart")

    def _still_needed(self) -> str:
        """Why the save points are needed still, or nothing."""
        if self.wanted["appendonly"] != "yes" or any(each.name == "appendonly" for each in self.held):
            return "for without AOF they are all that keeps the data"
        if self.unkept:
            return "for a restart could come up without AOF"
        if self.facts.since_start or self.facts.flags == "none":
            return ""
        if self.facts.flags == "contrary":
            return "for the server's command line seems to say --appendonly no, which wins over its file"
        return (
            "for its command line may say --appendonly no, which cannot be told from here; "
            "they go once a restart has shown that AOF comes back"
        )

    def _lines(self) -> tuple[str, ...]:
        """What the operator has to write, and where."""
        asked = {*self.open, *self.unlasting, *(() if self.facts.since_start else ("appendonly",))}
        names = [name for name in self.wanted if name in asked]
        if self.facts.config_file:
            place = "what the container is made from, as " if self.facts.fleeting else ""
            lines = (f"  {name} {quoted(self.wanted[name])}" for name in names)
            return (f"in {place}{self.facts.config_file}:", *lines)
        given = " ".join(f"--{name} {quoted(self.wanted[name])}" for name in names)
        return (f"where the server is started: {given}",)


def _unkept(facts: Facts) -> str:
    """Why CONFIG REWRITE is no way to make something last, or nothing."""
    if not facts.config_file:
        return "the server was started without a configuration file"
    if facts.refused:
        return facts.refused
    if facts.fleeting:
        return f"{facts.config_file} lies in its container's own layer, and goes when the container is made anew"
    if facts.strangers:
        told = "; ".join(f"{each.name} {each.wanted!r} there, {each.actual!r} now" for each in facts.strangers)
        return f"{facts.config_file} and the server differ, and CONFIG REWRITE would make that permanent too ({told})"
    return ""

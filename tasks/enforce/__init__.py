"""The persistence settings of a server, kept what they must be: wanted against actual, reported or applied.

In reading order: ``values`` (when two texts mean the same), ``start`` (what file and command line would make of a
server), ``facts``, ``plan`` and ``policy`` (pure: the steps and their reasons, or what cannot be done), ``seen`` and
``survey`` (finding the facts out), ``memory`` (what was right before), ``course`` (the steps, each proven).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks.enforce.course import Course
from tasks.enforce.facts import Facts
from tasks.enforce.memory import Memory
from tasks.enforce.plan import Plan
from tasks.enforce.policy import plan
from tasks.enforce.survey import look
from tasks.enforce.values import differences, same, wanted_of
from tasks.errors import AofFoundOff, PersistenceUnkept, PersistenceUnlasting, SettingUnknown
from tasks.job import Job
from tasks.server import Server
from tasks.settings import Settings, Target

__all__ = ["disagreements", "enforce"]


def enforce(job: Job, settings: Settings, target: Target) -> None:
    """Compare, record, and in mode `apply` put right what is not as wanted. A dry run tells and remembers nothing.

    Raises:
        AofFoundOff: AOF is off where it was on; nothing was changed, whatever the mode.
        SettingUnknown: the server has no such setting; nothing was changed.
        PersistenceUnlasting: something was left as it is, since it would not outlast a restart.
        AofUnproven, PersistenceUnkept: it was tried, and did not succeed.
    """
    wanted = wanted_of(target.persistence)
    applying = target.persistence.enforce == "apply" and not job.ticket.dry_run
    with Memory(settings.control, target.name) as memory, Server(target.url.get_secret_value()) as server:
        server.facts()
        server.check_role(accept_replica=target.backup.replica == "accept")
        with job.phase("look"):
            facts = look(server, target, wanted)
            planned = plan(wanted, facts, memory.recall())
        job.figures |= {"mode": "apply" if applying else "report", "dry_run": job.ticket.dry_run}
        job.figures |= _figures(planned, facts)
        if not job.ticket.dry_run:
            memory.note(_right(wanted, facts))
        _refuse(planned, server.shown)
        if not applying:
            _advise(job, planned, facts, target.name)
            return
        for each in planned.differences:
            if each.name in planned.drifted:
                job.warn(f"somebody has changed {each.name} to {each.actual!r}")
        if planned.steps:
            planned = Course(job, server, target, wanted, memory, settings.control.patience).run(planned)
            facts = _read_again(job, server, target, planned, wanted)
            job.figures |= {"held": _held(planned, facts), "aof_bytes": facts.aof_bytes}
            memory.note(_right(wanted, facts))
    _tell_held(job, planned, facts, server.shown)


def disagreements(server: Server, target: Target) -> list[str]:
    """What is not as wanted, a sentence each, in one round trip: for a backup that looks before it begins.

    Raises ServerDenied where the user may not ask.
    """
    wanted = wanted_of(target.persistence)
    return [str(each) for each in differences(wanted, server.config(*wanted))]


def _refuse(planned: Plan, shown: str) -> None:
    if planned.unknown:
        names = ", ".join(f"[target.persistence.config] {name}" for name in planned.unknown)
        raise SettingUnknown(f"{shown} does not have {names}")
    if planned.alarm:
        raise AofFoundOff(f"{shown}: {planned.alarm}", hint=planned.way_out)


def _read_again(job: Job, server: Server, target: Target, planned: Plan, wanted: Mapping[str, str]) -> Facts:
    """The server as it is in the end.

    Raises:
        PersistenceUnkept: something that was set is not so.
    """
    with job.phase("read again"):
        facts = look(server, target, wanted)
    set_now = {step.name or "appendonly" for step in planned.steps if step.do != "rewrite the file"}
    left = [each for each in differences(wanted, facts.actual) if each.name in set_now]
    if left:
        raise PersistenceUnkept(f"{server.shown}: {'; '.join(map(str, left))}, after it was set")
    return facts


def _right(wanted: Mapping[str, str], facts: Facts) -> dict[str, str]:
    return {name: value for name, value in wanted.items() if same(name, value, facts.actual.get(name, ""))}


# -- what is told ------------------------------------------------------------------------------------------


def _advise(job: Job, planned: Plan, facts: Facts, target: str) -> None:
    """A report's warnings: what is not as wanted, and what would be done about it. A dry run shows that in full."""
    if not job.ticket.dry_run:
        for each in planned.differences:
            drifted = "; it was right before, so somebody changed it" if each.name in planned.drifted else ""
            job.warn(f"{each}{drifted}")
    for name in planned.unlasting:
        job.warn(f"{name} is as wanted, but only until the server restarts: its file says otherwise")
    _warn_of_held(job, planned, facts)
    if planned.steps and not job.ticket.dry_run:
        job.warn(f"see `redkeep run enforce {target} --dry-run`; enforce = \"apply\" in [target.persistence] does it")


def _warn_of_held(job: Job, planned: Plan, facts: Facts) -> None:
    for each in planned.held:
        job.warn(" ".join([f"{each}.", *each.advice(aof_on=facts.aof_on)]))


def _tell_held(job: Job, planned: Plan, facts: Facts, shown: str) -> None:
    """
    Raises:
        PersistenceUnlasting: the operator has to do something; its hint says what.
    """
    _warn_of_held(job, planned, facts)
    asked = [line for each in planned.held if each.lines for line in each.advice(aof_on=facts.aof_on)]
    if asked:
        reasons = "; ".join(map(str, planned.held))
        raise PersistenceUnlasting(f"{shown} is not as wanted ({reasons})", hint="\n    ".join(["By hand:", *asked]))


def _figures(planned: Plan, facts: Facts) -> dict[str, Any]:
    return {
        "diff": [{"name": each.name, "wanted": each.wanted, "actual": each.actual} for each in planned.differences],
        "drift": list(planned.drifted),
        "unlasting": list(planned.unlasting),
        "alarm": planned.alarm,
        "plan": [{"step": each.command, "why": each.why} for each in planned.steps],
        "held": _held(planned, facts),
        "actual": dict(facts.actual),
        "config_file": facts.config_file,
        "file": "read" if facts.file is not None else facts.unread,
        "command_line": "unneeded" if facts.since_start else facts.flags,
        "aof_bytes": facts.aof_bytes,
        "aof": str(facts.aof) if facts.aof else facts.blind or "none",
    }


def _held(planned: Plan, facts: Facts) -> list[dict[str, Any]]:
    return [
        {"name": each.name, "why": each.why, "lines": list(each.advice(aof_on=facts.aof_on))} for each in planned.held
    ]

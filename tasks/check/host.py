"""What the guard would say right now: memory, swap, kernel settings, disks, replication, and how long a fork takes."""

from __future__ import annotations

from tasks.check.finding import Finding, Findings, Level
from tasks.check.source import followed
from tasks.gate import look
from tasks.guard import judge
from tasks.guard.reasons import Level as Weight
from tasks.server import Server
from tasks.settings import Target

__all__ = ["host"]

LEVELS: dict[Weight, Level] = {"ok": "ok", "warn": "warn", "defer": "warn", "refuse": "fail"}
"""What passes by itself is no failure."""


def host(asked: Server, target: Target) -> Findings:
    """Every reason of the guard for the fork of a backup, a row each."""
    for reason in judge(look(asked, target), target.guard, "save" if followed(target) else "sync").reasons:
        yield Finding(f"{target.name}: {reason.about}", LEVELS[reason.level], reason.told, reason.remedy)

"""The doctor: what every task needs, looked at piece by piece, each with its remedy. Changes nothing that stays.

finding      one row of the table
together     all looks at once, because most of them wait
clock        whether two clocks agree

control      the control Redis, and what is paused there
keys         who can read and who signs
store        by writing, reading and deleting
server       a target: version and role; with it persistence, host (the guard's reasons) and rights
source       where its snapshots come from
drills       whether it could be brought back here
schedule     what would meet
workers      who is there, and with which settings
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tasks.check.control import control
from tasks.check.drills import drills
from tasks.check.finding import Finding, Findings
from tasks.check.keys import keys
from tasks.check.schedule import schedule
from tasks.check.server import server
from tasks.check.source import source
from tasks.check.store import store
from tasks.check.together import Look, together
from tasks.check.workers import Serving, workers
from tasks.errors import ControlUnreachable, ServerUnreachable, StoreUnreachable
from tasks.settings import Settings, Target

__all__ = ["Finding", "check"]


def check(settings: Settings, targets: list[Target], serving: Serving) -> Findings:
    """Look at everything that these targets need, in the order of the table.

    Args:
        serving: asks the workers which queues they take from, by worker name.
    """
    return together(_looks(settings, targets, serving))


def _looks(settings: Settings, targets: list[Target], serving: Serving) -> Iterator[Look]:
    yield Look("control", partial(control, settings, targets), ControlUnreachable.hint)
    yield Look("keys", partial(keys, settings), "Look at the disk on which the keys lie.")
    yield Look("store", partial(store, settings), StoreUnreachable.hint)
    for target in targets:
        yield Look(f"{target.name}: server", partial(server, target), ServerUnreachable.hint)
        yield Look(f"{target.name}: source", partial(source, target), "Look at the disk under data_dir.")
        yield Look(f"{target.name}: drill", partial(drills, settings, target), ServerUnreachable.hint)
    yield Look("schedule", partial(schedule, settings), "Look at the schedules in redkeep.toml.")
    yield Look("workers", partial(workers, settings, targets, serving), ControlUnreachable.hint)

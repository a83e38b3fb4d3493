"""Tidy: unneeded data out, by rules that explain themselves, at the server's own pace. Read it downward.

Files, in reading order:
    policy.py      which keys go, and why: pure
    presets.py     rules that come with redkeep
    safety.py      what must be true before a single key goes
    sweep.py       every database, piece by piece
    look.py        one piece: the keys that some rule may fit, and their facts
    remove.py      acting on what is chosen, each condition looked at once more in the same atomic step
    scripts.py     what of it runs inside the server
    copies.py      keep_copy: shipped first, and then only what is unchanged since
    copy_scripts.py  what of that runs inside the server
    archiving.py   where the copies go
    tally.py       what was seen and done, for the record
    notebook.py    what is remembered from run to run
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import partial
from typing import Any

from tasks import control
from tasks.errors import ControlUnreachable, NoRules, RedkeepError
from tasks.estimate import Estimate
from tasks.job import Job
from tasks.names import Keys
from tasks.pace import Pace
from tasks.server import Server
from tasks.settings import Settings, Target
from tasks.store import open_store
from tasks.tidy import safety
from tasks.tidy.archiving import open_copies
from tasks.tidy.copies import Copies
from tasks.tidy.notebook import Notebook
from tasks.tidy.policy import Policy, compile_policy
from tasks.tidy.sweep import Sweep

__all__ = ["tidy"]


def tidy(job: Job, settings: Settings, target: Target) -> None:
    """Remove what the target's rules find, or only say so: a run by hand does no more until its rules have run for
    real once.

    Raises:
        NoRules: the target has none.
        RedkeepError: whatever else stood in the way. What was removed up to then fitted a rule when it went.
    """
    wanted = target.tidy
    if wanted is None or not wanted.rule:
        raise NoRules(f"{target.name} has no rules")
    policy = compile_policy(wanted, settings.control.namespace)
    url = target.url.get_secret_value()
    with closing(control.connect(settings.control)) as client, Server(url) as server, Server(url) as beside:
        notebook = Notebook(client, Keys(settings.control.namespace), target.name)
        dry_run = _is_dry(job, notebook, policy)
        refuse = partial(_warned, job) if dry_run else nullcontext
        with job.phase("check"):
            facts = server.facts()
            job.warn(safety.check_server(server, facts, policy))
            now = safety.time_of(server)
            with refuse():
                safety.check_clock(now, notebook.last_time())
                safety.check_backup(open_store(**settings.store.arguments()), target.name, wanted.needs_backup_within)
        with job.phase("estimate"):
            most = float(job.ticket.options.get("force_share") or wanted.max_share)
            keys, share = safety.estimate(server, policy, now, job.checkpoint)
            job.figures |= {"dry_run": dry_run, "keys": keys, "share": _as_shares(share)}
            with refuse():
                safety.check_share(share, keys, most)
        with job.phase("sweep"):
            pace = Pace(
                beside,
                max_latency=wanted.max_latency,
                until=time.monotonic() + wanted.time_budget,
                checkpoint=job.checkpoint,
                must_end=lambda: bool(job.wanted),
            )
            sweep = Sweep(
                server,
                pace,
                policy,
                now,
                dry_run=dry_run,
                most=max(most, share.high) * keys,
                report=partial(_progress, job, keys),
                copies=None if dry_run else _copies(job, settings, target, policy, server, pace),
                place=None if dry_run else notebook.place(policy, facts.run_id),
            )
            _carry_out(job, sweep, notebook, facts.run_id)


def _copies(
    job: Job, settings: Settings, target: Target, policy: Policy, server: Server, pace: Pace
) -> Copies | None:
    """Where copies go, if any rule asks for them."""
    if target.tidy is None or not any(rule.keep_copy for rule in policy.rules):
        return None
    return open_copies(job, settings, target, target.tidy, server, partial(pace.ask, server))


def _is_dry(job: Job, notebook: Notebook, policy: Policy) -> bool:
    """As it was asked for. Else the schedule's runs are real, and those by hand once every rule has been."""
    asked = job.ticket.options.get("dry_run")
    if asked is not None or job.ticket.slot:
        return bool(asked)
    return bool(notebook.unproven(policy))


@contextmanager
def _warned(job: Job) -> Iterator[None]:
    """A dry run says what would refuse a real one, and goes on."""
    try:
        yield
    except RedkeepError as error:
        job.warn(f"a real run would be refused: {error}")


def _carry_out(job: Job, sweep: Sweep, notebook: Notebook, server_run: str) -> None:
    before = sweep.server.facts().used_memory
    if not sweep.dry_run:
        notebook.keep_time(sweep.now)
    ended = "stopped"
    try:
        sweep.run()
        ended = "through" if sweep.place is None else "gave way" if job.wanted else "out of time"
    finally:
        job.figures |= _figures(sweep, ended)
        if sweep.copies is not None:
            job.figures |= sweep.copies.figures()
            for told in sweep.copies.warnings():
                job.warn(told)
        if not sweep.dry_run:
            with suppress(ControlUnreachable):  # then the next run begins anew
                notebook.keep_place(sweep.place, sweep.policy, server_run)
    job.figures["used_memory"] = {"before": before, "after": sweep.server.facts().used_memory}
    if not sweep.dry_run:
        notebook.prove(sweep.policy)


# -- what is told ------------------------------------------------------------------------------------------


def _figures(sweep: Sweep, ended: str) -> dict[str, Any]:
    return {
        "met": sweep.met,
        "ended": ended,
        "seconds_waited": {what: round(seconds, 3) for what, seconds in sweep.pace.waited.items()},
        "rules": [tally.figures(dry_run=sweep.dry_run) for tally in sweep.tallies.values()],
    }


def _progress(job: Job, keys: int, met: int) -> None:
    job.progress = {"phase": "sweep", "keys": met, "total_keys": max(keys, met)}


def _as_shares(share: Estimate) -> dict[str, float]:
    return {"value": round(share.value, 4), "low": round(share.low, 4), "high": round(share.high, 4)}

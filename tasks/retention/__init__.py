"""Which backups go, and why; then their removal, and a sweep after what killed workers left.

Files, in reading order:
    policy.py     pure: every snapshot's fate with its reasons; what counts as a loss
    survey.py     manifests, verdicts and holds as the policy takes them
    removal.py    manifest, then object; every step may be the last
    sweep.py      what no backup needs any more
    copies.py     what tidy removed, when the time of its copies is over

A snapshot that lost more than a share of its bytes against the one before it freezes all removal until a person has
looked (``redkeep acknowledge``). Once a backup in between has gone, two that were never neighbours would stand side by
side; so before anything is removed, the newest snapshot's verdict says `settled`: up to here, nobody needs to compare
again. An acknowledgement is the same word, said by a person.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tasks import catalog, control, verdicts
from tasks.errors import RetentionFrozen
from tasks.job import Job
from tasks.records import Records
from tasks.retention.copies import remove_copies, spent
from tasks.retention.policy import Decision, Snapshot, decide, newest_known
from tasks.retention.removal import Remover
from tasks.retention.survey import Plan, plan
from tasks.retention.sweep import leftovers, objects_of, sweep
from tasks.settings import BackupSettings, Settings, Target
from tasks.settings.rules import Tidy
from tasks.store import Store, open_store

__all__ = ["Decision", "Plan", "Snapshot", "acknowledge", "decide", "plan", "retention"]

LIVE = 200
"""How many of the target's newest runs are asked what they are writing; one that still works is among them."""
TOLD = 1000
"""How many decisions a run's record tells at most."""


def retention(job: Job, settings: Settings, target: Target) -> None:
    """Remove what the policy lets go, and what nobody needs. A dry run reads, decides and tells, and that is all.

    Raises:
        RetentionFrozen: a snapshot shrank, so no backup was removed; leftovers were.
    """
    store = open_store(**settings.store.arguments())
    now = datetime.now(UTC)
    with job.phase("survey"):
        live = _live(settings, target.name)
        objects = objects_of(store, target.name)
        entries = catalog.shelf(store, target.name)
        planned = plan(entries, target.backup, settings.encryption.trusted_signers, now)
        left = list(leftovers(store, target.name, objects, entries, live, now))
        copies_for = timedelta(seconds=(target.tidy or Tidy()).copies_for)
        copies = spent(store, target.name, copies_for, live, now)
    _warn(job, entries)
    job.figures |= _figures(planned, dry_run=job.ticket.dry_run) | {"leftovers": len(left), "copies": len(copies)}
    if job.ticket.dry_run:
        job.warn(_frozen(planned, target.name))
        return
    with job.phase("remove"):
        _remove(job, store, target.name, entries, planned, now)
    with job.phase("sweep"):
        job.prove()
        _refused(job, sweep(store, left) | remove_copies(store, copies))
    if planned.frozen:
        raise RetentionFrozen(_frozen(planned, target.name), hint=_remedy(target.name))


def acknowledge(
    store: Store, target: str, settings: BackupSettings, trusted: Sequence[str], *, by: str, now: datetime | None = None
) -> str:
    """Say that no data was lost, whatever the sizes look like. Returns what had frozen retention; nothing where
    nothing had, and then nothing was written."""
    now = now or datetime.now(UTC)
    planned = plan(catalog.shelf(store, target), settings, trusted, now)
    newest = newest_known(planned.snapshots, now)
    if planned.frozen and newest is not None:
        said = verdicts.statement(by=by, figures={"acknowledged": planned.frozen})
        verdicts.pronounce(store, target, newest.id, "settled", said)
    return planned.frozen


def _remove(
    job: Job, store: Store, target: str, entries: list[catalog.Entry], planned: Plan, now: datetime
) -> None:
    remover = Remover(store, target, job.prove, run=job.ticket.run_id, by=job.ticket.by)
    manifests = {entry.id: entry.manifest for entry in entries if entry.manifest}
    going = [each.snapshot.id for each in reversed(planned.decisions) if each.action == "remove"]
    try:
        remover.finish(entries)
        newest = newest_known(planned.snapshots, now)
        if going and newest is not None and not newest.settled:
            said = verdicts.statement(run=job.ticket.run_id, by=job.ticket.by)
            verdicts.pronounce(store, target, newest.id, "settled", said)
        for number, backup_id in enumerate(going):
            job.progress = {"phase": "remove", "done": number, "of": len(going)}
            remover.remove(manifests[backup_id])
    finally:  # what was done is told, whatever ended it
        done = remover.done
        job.figures |= {"removed": len(done.backups), "finished": len(done.finished), "refused": len(done.refused)}
        _refused(job, done.refused)


def _live(settings: Settings, target: str) -> set[str]:
    """The keys that runs which have not ended say they are writing."""
    client = control.connect(settings.control)
    try:
        found = Records(client, settings.control).newest(target, limit=LIVE)
    finally:
        client.close()
    return {str(run.get("writing")) for run in found if not run.final and run.get("writing")}


# -- what is told ------------------------------------------------------------------------------------------


def _figures(planned: Plan, *, dry_run: bool) -> dict[str, Any]:
    """A dry run tells every decision; a real one only of what goes, or each record would hold the whole catalog."""
    told = [each for each in planned.decisions if dry_run or each.action == "remove"]
    removing = sum(each.action == "remove" for each in planned.decisions)
    return {
        "dry_run": dry_run,
        "backups": len(planned.decisions),
        "to_remove": removing,
        "to_keep": len(planned.decisions) - removing,
        "frozen": planned.frozen,
        "decisions": [_flat(each) for each in told[:TOLD]],
    }


def _flat(decision: Decision) -> dict[str, Any]:
    return {"backup": decision.snapshot.id, "action": decision.action, "reasons": list(decision.reasons)}


def _frozen(planned: Plan, target: str) -> str:
    return f"retention of {target} is frozen: {planned.frozen}" if planned.frozen else ""


def _remedy(target: str) -> str:
    return f"See whether data is missing there; if all is well, say `redkeep acknowledge {target}`."


def _warn(job: Job, entries: Iterable[catalog.Entry]) -> None:
    for entry in entries:
        if entry.problem:
            job.warn(f"the manifest of {entry.id} cannot be read: {entry.problem}")
        for note in entry.notes:
            job.warn(f"a verdict counts as none, {note}")


def _refused(job: Job, refused: dict[str, str]) -> None:
    if refused:
        what, why = next(iter(refused.items()))
        more = f", and {len(refused) - 1} more" if len(refused) > 1 else ""
        job.warn(f"the store refused to remove {what}{more}: {why}")

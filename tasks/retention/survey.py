"""What the store says of a target's snapshots, as the policy takes it: manifests, verdicts and holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tasks import names
from tasks.catalog import Entry
from tasks.errors import SignatureInvalid
from tasks.manifest import Manifest
from tasks.retention.policy import SKEW, Decision, Snapshot, decide, shrunk
from tasks.settings import BackupSettings

__all__ = ["Plan", "Tidied", "plan"]

Tidied = Callable[[str, str], int]
"""How many bytes tidy removed from the data set between two backups, by their ids."""


@dataclass(frozen=True)
class Plan:
    """What retention would do: every snapshot's fate, and why nothing may go where that is so."""

    snapshots: list[Snapshot]
    decisions: list[Decision]
    frozen: str


def plan(
    entries: Iterable[Entry],
    settings: BackupSettings,
    trusted: Sequence[str],
    now: datetime,
    tidied: Tidied = lambda before, after: 0,
) -> Plan:
    """Decide on everything that lies in the store.

    Args:
        entries: oldest first, as the catalog gives them.
        trusted: signers; a snapshot that none of them signed can be neither counted nor removed.
        tidied: what is no loss where a snapshot is smaller than the one before.
    """
    snapshots: list[Snapshot] = []
    before = ""
    for entry in entries:
        snapshots.append(_snapshot(entry, trusted, tidied(before, entry.id) if before else 0))
        before = entry.id
    frozen = shrunk(snapshots, settings.freeze_on_shrink, now)
    return Plan(snapshots, decide(snapshots, settings.keep, now, frozen=frozen), frozen)


def _snapshot(entry: Entry, trusted: Sequence[str], tidied: int) -> Snapshot:
    verdict, manifest = entry.verdict, entry.manifest
    held = entry.hold.why if entry.hold else None
    problem = entry.problem if manifest is None else _distrust(manifest, trusted)
    if manifest is None or problem:
        return Snapshot(entry.id, problem=problem or "it cannot be read", held=held)
    return Snapshot(
        entry.id,
        created=_created(manifest),
        bytes=manifest.plaintext.bytes,
        verified=verdict is not None and verdict.good,
        drilled=verdict is not None and verdict.good and verdict.drilled is not None and verdict.drilled.ok,
        failed=verdict is not None and verdict.failed,
        held=held,
        settled=verdict is not None and verdict.settled is not None,
        tidied=tidied,
    )


def _distrust(manifest: Manifest, trusted: Sequence[str]) -> str:
    try:
        manifest.authenticate(trusted)
    except SignatureInvalid as error:
        return str(error)
    return ""


def _created(manifest: Manifest) -> datetime | None:
    """When the snapshot was taken; None where the manifest contradicts itself: a backup never ends before the moment
    that its id names."""
    try:
        created = datetime.fromisoformat(manifest.created)
    except ValueError:
        return None
    if created.tzinfo is None or created < names.moment_of(manifest.id) - SKEW:
        return None
    return created.astimezone(UTC)

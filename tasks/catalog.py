"""Which backups a store holds, told by their manifests alone. Needs no control Redis and no settings file."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from tasks import holds, names, verdicts
from tasks.errors import BackupUnknown, ManifestInvalid, ManifestTooNew, ObjectMissing
from tasks.holds import Hold
from tasks.manifest import Manifest
from tasks.store import Store
from tasks.verdicts import Verdict

__all__ = ["Entry", "entries", "find", "read", "resolve", "shelf", "targets"]

LATEST = "latest"
READERS = 4
"""Small objects read at once: a store far away answers each in tens of milliseconds, and they are a few hundred."""


@dataclass(frozen=True)
class Entry:
    """A backup in the list: its manifest, or why that cannot be read; and what is known of it beside.

    Attributes:
        verdict: None where nobody has looked at it yet, and where what was said cannot be read; `notes` says that.
    """

    id: str
    manifest: Manifest | None
    problem: str = ""
    verdict: Verdict | None = None
    hold: Hold | None = None
    notes: tuple[str, ...] = ()


def entries(store: Store, target: str) -> Iterator[Entry]:
    """The target's backups, oldest first. One manifest is read at a time."""
    for backup_id in _ids(store, names.manifest_prefix(target)):
        found = _entry(store, target, backup_id)
        if found is not None:
            yield found


def shelf(store: Store, target: str) -> list[Entry]:
    """The target's backups with verdicts and holds, oldest first: three listings, then a few reads at a time."""
    said: dict[str, list[str]] = defaultdict(list)
    for found in store.list(names.verdict_prefix(target)):
        said[names.id_in(found.key)].append(found.key)
    held = set(_ids(store, names.hold_prefix(target)))

    def one(backup_id: str) -> Entry | None:
        entry = _entry(store, target, backup_id)
        return entry and _with_verdict(store, target, entry, said.get(backup_id, ()), held=backup_id in held)

    with ThreadPoolExecutor(READERS, thread_name_prefix="redkeep-shelf") as readers:
        return [entry for entry in readers.map(one, _ids(store, names.manifest_prefix(target))) if entry]


def _with_verdict(store: Store, target: str, entry: Entry, keys: Iterable[str], *, held: bool) -> Entry:
    gathered = verdicts.gather(store, target, entry.id, keys)
    notes = tuple(f"{key.rpartition('/')[2]}: {error}" for key, error in gathered.problems.items())
    return replace(entry, verdict=gathered.verdict, hold=_hold(store, target, entry.id) if held else None, notes=notes)


def _hold(store: Store, target: str, backup_id: str) -> Hold | None:
    try:
        return holds.read(store, target, backup_id)
    except ObjectMissing:  # released meanwhile
        return None


def _entry(store: Store, target: str, backup_id: str) -> Entry | None:
    """None where it was removed meanwhile."""
    try:
        return Entry(backup_id, read(store, target, backup_id))
    except (ManifestInvalid, ManifestTooNew) as error:
        return Entry(backup_id, None, str(error))
    except ObjectMissing:
        return None


def find(store: Store, target: str, wanted: str) -> Manifest:
    """The manifest of one backup.

    Args:
        wanted: its id, or ``latest``: the newest whose manifest can be read.

    Raises:
        BackupUnknown: there is none.
        ManifestInvalid, ManifestTooNew: it is there and cannot be read.
    """
    return read(store, target, resolve(store, target, wanted))


def resolve(store: Store, target: str, wanted: str) -> str:
    """The id that is meant. Raises BackupUnknown where there is no such manifest."""
    if wanted != LATEST:
        if not names.is_backup_id(wanted) or store.head(names.manifest_key(target, wanted)) is None:
            raise BackupUnknown(f"no backup {wanted[:64]!r} of {target}")
        return wanted
    newest = max(_ids(store, names.manifest_prefix(target)), default="")
    if not newest:
        raise BackupUnknown(f"no backup of {target} at {store.url}")
    return newest


def read(store: Store, target: str, backup_id: str) -> Manifest:
    """The manifest under that id.

    Raises:
        ManifestInvalid: it is none, or another backup's, or names an object that is not this target's.
        ManifestTooNew: a newer redkeep wrote it.
        ObjectMissing: there is none.
    """
    manifest = Manifest.read(store.read(names.manifest_key(target, backup_id)))
    if (manifest.target, manifest.id) != (target, backup_id):
        detail = f"it says {manifest.target[:64]} {manifest.id[:64]}"
        raise ManifestInvalid(f"the manifest {backup_id} of {target} is another backup's", detail=detail)
    if not names.is_snapshot_key(target, manifest.object.key):
        raise ManifestInvalid(f"the manifest {backup_id} names an object that is not a snapshot of {target}")
    return manifest


def targets(store: Store) -> list[str]:
    """The names under which the store holds backups."""
    found = {entry.key.partition("/")[0] for entry in store.list("") if "/manifests/" in entry.key}
    return sorted(found)


def _ids(store: Store, prefix: str) -> Iterator[str]:
    """Of the objects that are called exactly so; whatever else somebody put there is passed over."""
    for each in store.list(prefix):
        found = names.id_in(each.key)
        if found and each.key == f"{prefix}{found}.json":
            yield found

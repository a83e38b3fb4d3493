"""Which backups a store holds, told by their manifests alone. Needs no control Redis and no settings file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tasks import names
from tasks.errors import BackupUnknown, ManifestInvalid, ManifestTooNew
from tasks.manifest import Manifest
from tasks.store import Store

__all__ = ["Entry", "entries", "find", "targets"]

LATEST = "latest"


@dataclass(frozen=True)
class Entry:
    """A backup in the list: its manifest, or why that cannot be read."""

    id: str
    manifest: Manifest | None
    problem: str = ""


def entries(store: Store, target: str) -> Iterator[Entry]:
    """The target's backups, oldest first. One manifest is read at a time."""
    for found in store.list(names.manifest_prefix(target)):
        backup_id = found.key.removeprefix(names.manifest_prefix(target)).removesuffix(".json")
        if not names.is_backup_id(backup_id):
            continue
        try:
            yield Entry(backup_id, _read(store, target, backup_id))
        except (ManifestInvalid, ManifestTooNew) as error:
            yield Entry(backup_id, None, str(error))


def find(store: Store, target: str, wanted: str) -> Manifest:
    """The manifest of one backup.

    Args:
        wanted: its id, or ``latest``: the newest whose manifest can be read.

    Raises:
        BackupUnknown: there is none.
        ManifestInvalid, ManifestTooNew: it is there and cannot be read.
    """
    if wanted == LATEST:
        return _latest(store, target)
    if not names.is_backup_id(wanted) or store.head(names.manifest_key(target, wanted)) is None:
        raise BackupUnknown(f"no backup {wanted[:64]!r} of {target}")
    return _read(store, target, wanted)


def _latest(store: Store, target: str) -> Manifest:
    ids = sorted(
        (found.key for found in store.list(names.manifest_prefix(target))),
        reverse=True,
    )
    for key in ids:
        backup_id = key.removeprefix(names.manifest_prefix(target)).removesuffix(".json")
        if names.is_backup_id(backup_id):
            return _read(store, target, backup_id)
    raise BackupUnknown(f"no backup of {target} at {store.url}")


def _read(store: Store, target: str, backup_id: str) -> Manifest:
    manifest = Manifest.read(store.read(names.manifest_key(target, backup_id)))
    if (manifest.target, manifest.id) != (target, backup_id):
        detail = f"it says {manifest.target[:64]} {manifest.id[:64]}"
        raise ManifestInvalid(f"the manifest {backup_id} of {target} is another backup's", detail=detail)
    return manifest


def targets(store: Store) -> list[str]:
    """The names under which the store holds backups."""
    found = {entry.key.partition("/")[0] for entry in store.list("") if "/manifests/" in entry.key}
    return sorted(found)

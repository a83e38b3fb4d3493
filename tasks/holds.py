"""Holds: a backup that is kept whatever the policy says, and why. One small object each, ``holds/<id>.json``.

What counts is that the object is there. One that cannot be read holds all the same.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import rfc8785
from pydantic import ValidationError

from tasks import names
from tasks.errors import BackupUnknown, StoreFailed
from tasks.manifest import Part
from tasks.store import Store

__all__ = ["Hold", "hold", "read", "release"]

FORMAT_VERSION = 1
UNREADABLE = "for a reason that cannot be read"


class Hold(Part):
    """Why a backup stays, since when (RFC 3339, UTC), and who said so."""

    format_version: int = FORMAT_VERSION
    id: str
    target: str
    why: str
    at: str = ""
    by: str = ""


def hold(store: Store, target: str, backup_id: str, *, why: str, by: str) -> Hold:
    """Keep a backup from now on; said again, the new reason stands.

    Raises:
        BackupUnknown: there is no such backup, or retention was just removing it.
    """
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    made = Hold(id=backup_id, target=target, why=why, at=at, by=by)
    _check_there(store, target, backup_id)
    store.put(names.hold_key(target, backup_id), iter([rfc8785.dumps(made.model_dump())]))
    try:
        _check_there(store, target, backup_id)
        _check_not_going(store, target, backup_id)
    except BackupUnknown:
        store.delete(names.hold_key(target, backup_id))
        raise
    return made


def release(store: Store, target: str, backup_id: str) -> bool:
    """Leave a backup to the policy again. False where it was not held."""
    key = names.hold_key(target, backup_id)
    held = store.head(key) is not None
    store.delete(key)
    return held


def read(store: Store, target: str, backup_id: str) -> Hold:
    """The hold whose object is there. Raises ObjectMissing where it is not."""
    try:
        return Hold.model_validate(json.loads(store.read(names.hold_key(target, backup_id))))
    except (ValidationError, ValueError, RecursionError, StoreFailed):
        return Hold(id=backup_id, target=target, why=UNREADABLE)


def _check_there(store: Store, target: str, backup_id: str) -> None:
    if store.head(names.manifest_key(target, backup_id)) is None:
        raise BackupUnknown(f"no backup {backup_id[:64]!r} of {target}")


def _check_not_going(store: Store, target: str, backup_id: str) -> None:
    """Retention writes its note and then looks for a hold; we write the hold and then look for the note. So one of
    the two sees the other, whatever the order."""
    if store.head(names.removal_key(target, backup_id)) is not None:
        hint = "Look again with `redkeep backups` in a minute; if it is still there, hold it then."
        raise BackupUnknown(f"retention is removing backup {backup_id} of {target} just now", hint=hint)

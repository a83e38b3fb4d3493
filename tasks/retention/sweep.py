"""What no backup needs: objects without a manifest, verdicts without one, uploads that nobody ended.

Left by a worker that was killed and whose run nobody took over. A day is four times what a run may take by default, and
what the record of a live run names is left alone whatever its age. Nothing outside ``<target>/`` is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from tasks import names
from tasks.catalog import Entry
from tasks.errors import StoreDenied, StoreFailed
from tasks.store import ObjectInfo, PendingUpload, Store

__all__ = ["OLD", "Leftover", "leftovers", "objects_of", "sweep"]

OLD = timedelta(days=1)


@dataclass(frozen=True)
class Leftover:
    """An object, or where `upload` is set, an upload that was never ended."""

    key: str
    upload: PendingUpload | None = None


def objects_of(store: Store, target: str) -> list[ObjectInfo]:
    """All that may be a leftover. To be listed before the manifests are read: what is committed in between then has
    its manifest among them."""
    found = [*store.list(names.snapshot_prefix(target)), *store.list(names.verdict_prefix(target))]
    return [each for each in found if names.id_in(each.key)]  # what is called otherwise is not ours


def leftovers(
    store: Store, target: str, objects: Iterable[ObjectInfo], entries: list[Entry], live: set[str], now: datetime
) -> Iterator[Leftover]:
    """What may go.

    Args:
        entries: every backup, those whose manifest cannot be read included: their objects stay.
        live: keys that runs at work, or about to go on, have named in their records.
    """
    named = {entry.manifest.object.key for entry in entries if entry.manifest}
    ids = {entry.id for entry in entries}
    unreadable = {entry.id.partition("-")[0] for entry in entries if entry.manifest is None}
    for each in objects:
        is_snapshot = names.is_snapshot_key(target, each.key)
        needed = each.key in named if is_snapshot else names.id_in(each.key) in ids
        maybe = is_snapshot and each.key.rpartition("/")[2].partition("-")[0] in unreadable
        if not needed and not maybe and each.key not in live and each.modified < now - OLD:
            yield Leftover(each.key)
    for upload in store.uploads(f"{target}/"):
        if upload.key not in live and upload.started < now - OLD:
            yield Leftover(upload.key, upload)


def sweep(store: Store, found: Iterable[Leftover]) -> dict[str, str]:
    """Remove them. Returns what the store refused, and why."""
    refused: dict[str, str] = {}
    for each in found:
        try:
            store.abort(each.upload) if each.upload else store.delete(each.key)
        except (StoreDenied, StoreFailed) as error:
            refused[each.key] = str(error)
    return refused

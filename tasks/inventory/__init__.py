"""What a store holds of each target, kept small: listed anew each time, read once.

A manifest never changes and a verdict has a new ETag when it does, so each is read when it first turns up and never
again; what is kept of it are the few figures that a page, a terminal or an alarm shows. A store that does not answer
leaves the last known, and says so.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from tasks import catalog, names, verdicts
from tasks.errors import ManifestInvalid, ManifestTooNew, ObjectMissing, RedkeepError
from tasks.inventory.stock import Backup, Proof, Stock, latest
from tasks.manifest import Manifest
from tasks.store import ObjectInfo, Store
from tasks.verdicts import Statement

__all__ = ["Backup", "Inventory", "Proof", "Stock"]

KEPT = 1000
"""Backups of a target that are kept in mind, the newest: hourly ones of 30 days are 720. Older ones only count."""
READERS = 8
"""Small objects asked for at once: a store far away answers each in tens of milliseconds."""
WORDS = 2_000
"""Characters of an error that are kept; longer ones are in the record of the run."""


class Inventory:
    """The stock of every target, for one process; several threads may use it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._stocks: dict[str, Stock] = {}
        self._read: dict[str, dict[str, _Entry]] = {}
        self._looking = threading.Lock()

    def known(self, target: str) -> Stock:
        """As it was found last, without asking."""
        return self._stocks.get(target) or Stock(target)

    def look(self, targets: Sequence[str]) -> dict[str, Stock]:
        """List the store, a listing for each target, and read what is new.

        Never raises for the store: a target that cannot be listed or read keeps its last known backups beside the
        problem.
        """
        with self._looking, ThreadPoolExecutor(READERS, thread_name_prefix="redkeep-look") as readers:
            listings = list(readers.map(self._list, targets))
            wanted = [each for listing in listings for each in self._unread(listing)]
            found = dict(readers.map(self._entry, wanted))
            for listing in listings:
                self._stocks[listing.target] = self._stock(listing, found)
            return {target: self._stocks[target] for target in targets}

    def others(self, configured: Sequence[str]) -> list[str]:
        """Targets that the store has backups of and the settings do not name. Lists the whole store.

        Raises:
            RedkeepError: it does not answer.
        """
        return [name for name in catalog.targets(self._store) if name not in configured and names.is_target(name)]

    # -- a look --------------------------------------------------------------------------------------------

    def _list(self, target: str) -> _Listing:
        listing = _Listing(target)
        try:
            for each in self._store.list(f"{target}/"):
                listing.take(each)
        except RedkeepError as error:
            listing.problem = error
        return listing

    def _unread(self, listing: _Listing) -> list[tuple[str, ObjectInfo]]:
        known = self._read.get(listing.target, {})
        objects = (*listing.manifests[-KEPT:], *listing.verdicts)
        return [(listing.target, each) for each in objects if known.get(each.key, _NOTHING).etag != each.etag]

    def _entry(self, wanted: tuple[str, ObjectInfo]) -> tuple[str, _Entry]:
        target, found = wanted
        read = _manifest if found.key.startswith(names.manifest_prefix(target)) else _verdict
        try:
            return found.key, replace(read(self._store, target, found.key), etag=found.etag)
        except RedkeepError as error:  # the store fails: asked again at the next look
            return found.key, _Entry(failure=error)

    def _stock(self, listing: _Listing, found: dict[str, _Entry]) -> Stock:
        before = self.known(listing.target)
        if listing.problem:
            return replace(before, problem=listing.problem.as_dict())
        known = self._read.get(listing.target, {})
        objects = (*listing.manifests[-KEPT:], *listing.verdicts)
        now = {each.key: found.get(each.key) or known[each.key] for each in objects}
        failed = next((each.failure for each in now.values() if each.failure), None)
        self._read[listing.target] = {key: each for key, each in now.items() if each.failure is None}
        return Stock(
            listing.target,
            tuple(_assembled(listing, self._read[listing.target])),
            len(listing.manifests),
            seen=before.seen if failed else datetime.now(UTC),
            problem=failed.as_dict() if failed else None,
        )


# -- what is kept of an object ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Entry:
    """What one object said, read under that ETag: a manifest, or a verdict's two statements."""

    etag: str = ""
    backup: Backup | None = None
    verified: Proof | None = None
    drilled: Proof | None = None
    failure: RedkeepError | None = None


_NOTHING = _Entry()


@dataclass
class _Listing:
    """What one target's folder lists; or why it cannot be listed."""

    target: str
    manifests: list[ObjectInfo] = field(default_factory=list)
    verdicts: list[ObjectInfo] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    problem: RedkeepError | None = None

    def take(self, found: ObjectInfo) -> None:
        backup_id = names.id_in(found.key)
        if not backup_id or _named_moment(backup_id) is None:
            return
        if found.key == names.manifest_key(self.target, backup_id):
            self.manifests.append(found)
        elif found.key.startswith(names.verdict_prefix(self.target)):
            self.verdicts.append(found)
        elif found.key == names.hold_key(self.target, backup_id):
            self.held.add(backup_id)


def _assembled(listing: _Listing, entries: dict[str, _Entry]) -> Iterator[Backup]:
    said: dict[str, list[_Entry]] = defaultdict(list)
    for each in listing.verdicts:
        if each.key in entries:
            said[names.id_in(each.key)].append(entries[each.key])
    for each in listing.manifests[-KEPT:]:
        backup = entries[each.key].backup if each.key in entries else None
        if backup is not None:
            yield replace(
                backup,
                held=backup.id in listing.held,
                verified=latest(one.verified for one in said[backup.id]),
                drilled=latest(one.drilled for one in said[backup.id]),
            )


def _named_moment(backup_id: str) -> datetime | None:
    """None where the digits are no time: somebody else's file."""
    try:
        return names.moment_of(backup_id)
    except ValueError:
        return None


def _manifest(store: Store, target: str, key: str) -> _Entry:
    backup_id = names.id_in(key)
    try:
        manifest = catalog.read(store, target, backup_id)
    except ObjectMissing:  # removed meanwhile
        return _NOTHING
    except (ManifestInvalid, ManifestTooNew) as error:
        return _Entry(backup=Backup(backup_id, names.moment_of(backup_id), problem=str(error)[:WORDS]))
    return _Entry(backup=_kept(manifest))


def _kept(manifest: Manifest) -> Backup:
    plaintext, source, server = manifest.plaintext, manifest.source, manifest.server
    return Backup(
        manifest.id,
        _taken(manifest),
        bytes=plaintext.bytes,
        stored_bytes=manifest.object.bytes,
        keys=sum(plaintext.keys.values()),
        fork_usec=source.fork_usec,
        cow_bytes=source.cow_bytes,
        seconds=source.seconds,
        source=source.kind,
        server=f"{server.name} {server.version}",
        task_id=manifest.task_id,
    )


def _taken(manifest: Manifest) -> datetime:
    """The start of its snapshot: what was written later is not in it."""
    try:
        committed = datetime.fromisoformat(manifest.created)
        return committed.replace(tzinfo=committed.tzinfo or UTC) - timedelta(seconds=manifest.source.seconds)
    except (ValueError, OverflowError):
        return names.moment_of(manifest.id)


def _verdict(store: Store, target: str, key: str) -> _Entry:
    backup_id = names.id_in(key)
    said = verdicts.gather(store, target, backup_id, [key]).by_key.get(key)
    if said is None:  # it cannot be read, and counts as not said
        return _NOTHING
    verified, drilled = (_proof(backup_id, each) for each in (said.verified, said.drilled))
    return _Entry(verified=verified, drilled=drilled)


def _proof(backup_id: str, said: Statement | None) -> Proof | None:
    if said is None or said.moment is None:
        return None
    error, seconds = said.error or {}, said.figures.get("recovery_seconds")
    return Proof(
        said.moment,
        said.ok,
        backup_id,
        error=str(error.get("message", ""))[:WORDS],
        hint=str(error.get("hint", ""))[:WORDS],
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
    )

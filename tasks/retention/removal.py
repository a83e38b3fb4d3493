"""Taking a snapshot out of the store, so that every step of it may be the last.

What is to go is written down first (``verdicts/<id>.removing.json``, with the object's key), then the manifest goes,
then the object, then all that was said of it. Before the manifest goes nothing has happened; after it there is no
backup of that id any more, and whoever comes next finishes what the note says.

A store that refuses (Object Lock, a policy without delete) is told of, not fought: the snapshot stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tasks import names, verdicts
from tasks.catalog import Entry
from tasks.errors import StoreDenied, StoreFailed
from tasks.manifest import Manifest
from tasks.store import Store
from tasks.verdicts import Verdict

__all__ = ["Removed", "Remover"]

@dataclass
class Removed:
    """What was done: ids of backups, and what the store refused, by what it was."""

    backups: list[str] = field(default_factory=list)
    finished: list[str] = field(default_factory=list)
    spared: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


class Remover:
    """Removes a target's snapshots on behalf of one run.

    Args:
        prove: raises where the run has lost its lease; called before each manifest goes.
    """

    def __init__(self, store: Store, target: str, prove: Callable[[], None], *, run: str = "", by: str = "") -> None:
        self.done = Removed()
        self._store = store
        self._target = target
        self._prove = prove
        self._run = run
        self._by = by

    def remove(self, manifest: Manifest) -> None:
        """Remove one backup, unless somebody holds it by now."""
        backup_id = manifest.id
        self._prove()
        try:
            self._note(manifest)
            if self._store.head(names.hold_key(self._target, backup_id)) is not None:
                self._store.delete(names.removal_key(self._target, backup_id))
                self.done.spared.append(backup_id)
                return
            self._store.delete(names.manifest_key(self._target, backup_id))
            self._clear(backup_id, manifest.object.key)
        except (StoreDenied, StoreFailed) as error:
            self.done.refused[backup_id] = str(error)
        else:
            self.done.backups.append(backup_id)

    def finish(self, entries: list[Entry]) -> None:
        """Complete what an earlier run had begun: the notes whose manifest is gone. A note beside a manifest is from a
        run that came no further, and its decision may be no longer right."""
        there = {entry.id for entry in entries}
        named = {entry.manifest.object.key for entry in entries if entry.manifest}
        for backup_id, note in self._notes():
            self._prove()
            try:
                if backup_id in there:
                    self._store.delete(note)
                    continue
                self._clear(backup_id, self._object_of(backup_id, note, named))
            except (StoreDenied, StoreFailed) as error:
                self.done.refused[backup_id] = str(error)
            else:
                self.done.finished.append(backup_id)

    def _note(self, manifest: Manifest) -> None:
        said = verdicts.statement(run=self._run, by=self._by, figures={"object": manifest.object.key})
        note = Verdict(id=manifest.id, target=self._target, removing=said)
        self._store.put(names.removal_key(self._target, manifest.id), iter([note.body()]))

    def _clear(self, backup_id: str, object_key: str) -> None:
        """The object, then what was said of it, the note last: it is what tells the next run to go on."""
        if object_key:
            self._store.delete(object_key)
        note = names.removal_key(self._target, backup_id)
        said = [each.key for each in self._store.list(names.verdict_prefix(self._target, backup_id))]
        for key in sorted(said, key=lambda key: key == note):
            self._store.delete(key)

    def _object_of(self, backup_id: str, note: str, named: set[str]) -> str:
        """What the note names, if it is a snapshot of this target that no manifest has."""
        said = verdicts.gather(self._store, self._target, backup_id, [note]).verdict
        key = str(said.removing.figures.get("object", "")) if said and said.removing else ""
        return key if names.is_snapshot_key(self._target, key) and key not in named else ""

    def _notes(self) -> Iterator[tuple[str, str]]:
        for each in list(self._store.list(names.verdict_prefix(self._target))):
            backup_id = names.id_in(each.key)
            if backup_id and each.key == names.removal_key(self._target, backup_id):
                yield backup_id, each.key

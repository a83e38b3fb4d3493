"""One backup's place in the store: what stands there, what is written there last, and what is taken back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tasks import names
from tasks.errors import ManifestInvalid, ManifestTooNew, ObjectExists, RedkeepError, SlotCommitted
from tasks.job import Job
from tasks.manifest import Manifest
from tasks.store import Store

__all__ = ["Place", "end_uploads"]


@dataclass(frozen=True)
class Place:
    """Where the backup of that id of a target stands once it is committed.

    Attributes:
        id: a slot's, so that the store itself refuses a second one; or a run's own.
    """

    store: Store
    target: str
    id: str

    @property
    def manifest_key(self) -> str:
        return names.manifest_key(self.target, self.id)

    def standing(self, job: Job) -> Manifest | None:
        """The manifest, where an earlier attempt of this very run wrote it and died before it could say so.

        Raises:
            SlotCommitted: another run wrote it.
        """
        if self.store.head(self.manifest_key) is None:
            return None
        manifest = Manifest.read(self.store.read(self.manifest_key))
        if manifest.task_id != job.ticket.run_id:
            raise SlotCommitted(f"backup {self.id} of {self.target} was committed by run {manifest.task_id}")
        return manifest

    def commit(self, job: Job, manifest: Manifest) -> Manifest:
        """Write the manifest, if there is none; else see whose it is."""
        try:
            self.store.put_once(self.manifest_key, manifest.body())
        except ObjectExists:
            standing = self.standing(job)
            if standing is None:
                raise
            self.store.delete(manifest.object.key)
            return standing
        return manifest

    # -- the way back --------------------------------------------------------------------------------------

    @contextmanager
    def taken_back_on_failure(self, job: Job, key: str) -> Iterator[None]:
        """Leave nothing under `key` that no manifest names. Where the store does not even answer that, the object
        stays, the record says so, and the next attempt of this run removes it."""
        try:
            yield
        except BaseException as error:
            try:
                self._take_back(key)
            except RedkeepError as second:
                error.add_note(f"taking back {key} failed as well: {second}")
                job.warn(f"{key} may have been left in the store: {second}")
            raise

    @contextmanager
    def leftover_cleared(self, job: Job) -> Iterator[None]:
        """Take back what an earlier attempt wrote, once a manifest stands, and not before: that attempt may be only
        paused, and its manifest would come to name an object that is gone (tests/model found the order of steps)."""
        try:
            yield
        except SlotCommitted:
            self._clear(job)
            raise
        self._clear(job)

    def sweep_uploads(self, job: Job, key: str) -> None:
        """End what a finished object's upload left: the reply to its beginning may have been lost, and it begun
        again."""
        try:
            end_uploads(self.store, key)
        except RedkeepError as error:
            job.warn(f"an unfinished upload of {key} may have been left in the store: {error}")

    def _clear(self, job: Job) -> None:
        if not job.leftover:
            return
        try:
            self._take_back(job.leftover)
        except RedkeepError as error:
            job.warn(f"{job.leftover} may have been left in the store: {error}")

    def _take_back(self, key: str) -> None:
        """Remove what an attempt wrote under its key, which was its own; unless it was committed after all: its
        manifest's reply may have been lost, or the word that it had one."""
        end_uploads(self.store, key)
        if not self._is_committed(key):
            self.store.delete(key)

    def _is_committed(self, key: str) -> bool:
        if self.store.head(self.manifest_key) is None:
            return False
        try:
            return Manifest.read(self.store.read(self.manifest_key)).object.key == key
        except (ManifestInvalid, ManifestTooNew):
            return False  # not one that this attempt could have written


def end_uploads(store: Store, key: str) -> None:
    """Every upload begun under that key; none where there is no key."""
    for upload in list(store.uploads(key)) if key else []:
        store.abort(upload)

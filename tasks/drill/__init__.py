"""The drill: the newest snapshot is brought back into a throwaway server, loaded, and judged.

A backup that was never restored is a hope. The way is the very way of `redkeep restore --to-dir`, with AOF on; the
server is a replica of nowhere, which drops no expired key, so counts are exact. What it took is the recovery time.

Files, in reading order: ``throwaway`` (the server and its end), ``launch`` (what it is started by), ``judge`` (what a
restored data set must be), and here the order of it all.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks import catalog, names
from tasks.drill.judge import objections, read_sample
from tasks.drill.throwaway import Throwaway, candidates, private_folder
from tasks.errors import (
    AgeCorrupt,
    AgeHeaderInvalid,
    BackupMismatch,
    CompressionCorrupt,
    DrillFailed,
    ManifestInvalid,
    ObjectMissing,
    RdbTooNew,
    RedkeepError,
    SignatureInvalid,
    SnapshotCorrupt,
    SnapshotTruncated,
)
from tasks.job import Job
from tasks.keyring import identities_for
from tasks.manifest import Manifest
from tasks.restore import Layout, admit, check_loads, fetch, layout_of, reader_of, to_dir
from tasks.settings import Drill, Settings, Target
from tasks.store import Store, open_store
from tasks.verdicts import pronounce, statement

__all__ = ["drill"]

BLAMED = (
    AgeCorrupt,
    AgeHeaderInvalid,
    BackupMismatch,
    CompressionCorrupt,
    DrillFailed,
    ManifestInvalid,
    ObjectMissing,
    SignatureInvalid,
    SnapshotCorrupt,
    SnapshotTruncated,
)
"""What is the snapshot's own fault. Everything else (no identity, no server, no memory, a store that is away) says
nothing about it, and ends the drill without a word on it."""


@dataclass
class Trial:
    """One snapshot on trial.

    Attributes:
        seconds: how long it took to fetch, to load and to check, by name.
    """

    id: str
    seconds: dict[str, float] = field(default_factory=dict)
    figures: dict[str, Any] = field(default_factory=dict)

    @contextmanager
    def measured(self, job: Job, name: str) -> Iterator[None]:
        began = time.monotonic()
        with job.phase(name):
            yield
        self.seconds[name] = round(time.monotonic() - began, 3)

    def told(self) -> dict[str, Any]:
        """The recovery time is what a restore takes: fetching and loading."""
        parts = {f"{name}_seconds": took for name, took in self.seconds.items()}
        recovery = self.seconds.get("fetch", 0.0) + self.seconds.get("load", 0.0)
        return {"backup": self.id} | parts | {"recovery_seconds": round(recovery, 3)} | self.figures


def drill(job: Job, settings: Settings, target: Target) -> None:
    """Bring back the snapshot that the ticket names, else the newest, and judge it. Where it fails, the one before it
    is tried as well, so that it is known what there is to go back to.

    Raises:
        DrillFailed: it did not come back as it should; its verdict says so, and the error whether the one before did.
        BackupUnknown: there is none.
        DrillServerMissing, MemoryShort, IdentityMissing, ...: it could not be tried; nothing is said of it.
    """
    store = open_store(**settings.store.arguments())
    ids = _newest_first(store, target.name, job.ticket.backup)
    first = Trial(ids[0])
    failure = _tried(job, settings, target, store, first, ids[1:])
    job.figures |= first.told()
    if failure is None:
        return
    raise DrillFailed(
        f"backup {first.id} of {target.name} did not come back: {failure.message}",
        detail=_fall_back(job, settings, target, store, ids[1:]),
    )


def _fall_back(job: Job, settings: Settings, target: Target, store: Store, earlier: list[str]) -> str:
    """Try the one before, and say how that went."""
    if not earlier:
        return "there is none before it"
    before = Trial(earlier[0])
    try:
        failure = _tried(job, settings, target, store, before, earlier[1:])
    except RedkeepError as error:
        return f"the one before it, {before.id}, could not be tried: {error.message}"
    job.figures["before"] = before.told() | {"ok": failure is None}
    return f"the one before it, {before.id}, did{'' if failure is None else f' not either: {failure.message}'}"


def _newest_first(store: Store, target: str, wanted: str) -> list[str]:
    """The wanted backup's id, then those of all before it. Raises BackupUnknown."""
    newest = catalog.resolve(store, target, wanted)
    found = {names.id_in(each.key) for each in store.list(names.manifest_prefix(target))}
    return sorted((each for each in found if each and each <= newest), reverse=True)


def _tried(
    job: Job, settings: Settings, target: Target, store: Store, trial: Trial, earlier: list[str]
) -> RedkeepError | None:
    """Put one on trial and store its verdict. The error is what the snapshot itself is to blame for."""
    failure: RedkeepError | None = None
    try:
        _try(job, settings, target, store, trial, earlier)
    except BLAMED as error:
        failure = error
        job.warn(f"backup {trial.id}: {error}")
    said = statement(run=job.ticket.run_id, by=job.ticket.by, error=failure, figures=trial.told())
    pronounce(store, target.name, trial.id, "drilled", said)
    return failure


def _try(job: Job, settings: Settings, target: Target, store: Store, trial: Trial, earlier: list[str]) -> None:
    manifest = catalog.read(store, target.name, trial.id)
    job.warn(admit(manifest, settings.encryption.trusted_signers, allow_unsigned=True))
    identities = identities_for(manifest, settings.encryption.identity_files)
    wanted = target.drill or Drill()
    with private_folder() as folder:
        binary, layout = _server_for(manifest, wanted, folder)
        data = folder / "data"
        with trial.measured(job, "fetch"):
            chunks = fetch(store, manifest, identities, lambda _: job.checkpoint())
            to_dir(chunks, data, layout, expected=manifest.plaintext.bytes)
        with Throwaway(binary, folder, manifest) as server:
            with trial.measured(job, "load"):
                server.start(data, job.checkpoint)
            with trial.measured(job, "check"):
                _judge(job, server, manifest, wanted, _keys_before(store, target.name, earlier), trial)


def _server_for(manifest: Manifest, wanted: Drill, folder: Path) -> tuple[Path, Layout]:
    """The first server of this machine that can load the snapshot, and where it will look for it.

    Raises:
        DrillServerMissing: there is no server here.
        RdbTooNew: there is, and it is too old.
    """
    refusal: RdbTooNew | None = None
    for binary in candidates(wanted.redis_server, manifest.server.name):
        with Throwaway(binary, folder, manifest) as server:
            server.start(folder / "probe", lambda: None)
            try:
                with server.asked() as asked:
                    check_loads(manifest, reader_of(asked))
                    return binary, layout_of(asked)
            except RdbTooNew as too_new:
                refusal = too_new
    assert refusal is not None  # candidates() gives one or raises  # noqa: S101
    refusal.hint = "Install a server as new as the target's on the drill worker, or name it in [target.drill]."
    raise refusal


def _judge(job: Job, server: Throwaway, manifest: Manifest, wanted: Drill, before: int | None, trial: Trial) -> None:
    keys = server.keys()
    sampled, unreadable = read_sample(server.client, keys, job.checkpoint)
    missing = [each.key for each in wanted.expect if bool(server.client().exists(each.key)) != each.exists]
    trial.figures = {"bytes": manifest.plaintext.bytes, "keys": sum(keys.values()), "sampled": sampled}
    found = objections(manifest, keys, unreadable=unreadable, unexpected=missing, wanted=wanted, before=before)
    if found:
        raise DrillFailed("; ".join(found))


def _keys_before(store: Store, target: str, earlier: list[str]) -> int | None:
    """How many keys the backup before had; None where there is none that can be read."""
    for backup_id in earlier:
        try:
            return sum(catalog.read(store, target, backup_id).plaintext.keys.values())
        except RedkeepError:  # its own drill has said so
            continue
    return None

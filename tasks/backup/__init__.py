"""The backup: snapshot -> seal -> store -> manifest. Read it downward; a snapshot goes the same way.

Until the manifest stands there is no backup. Whatever ends the run before that (the server, the store, a lost
lease, a signal) leaves no manifest, no object and no unfinished upload; and what a killed worker could not take
away, the next attempt of the same run does: see ``place.py``.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tasks import names
from tasks.backup.place import Place, end_uploads
from tasks.enforce import disagreements
from tasks.errors import ServerDenied
from tasks.gate import let_fork
from tasks.guard import Fork
from tasks.job import Job
from tasks.keyring import signing_key_in
from tasks.manifest import Manifest, ObjectFacts, PlaintextFacts, ServerFacts
from tasks.server import Server
from tasks.settings import Settings, Target
from tasks.store import Store, Stored, open_store
from tasks.stream import age, seal, stages_of
from tasks.stream.meter import Meter, RdbMeter
from tasks.stream.shape import owned
from tasks.stream.source import Snapshot, is_followed, open_snapshot
from tasks.stream.spool import ahead, spool

__all__ = ["backup"]

AHEAD = 4
"""Chunks of 1 MiB that each thread may be ahead of the next."""
SPOOL_MEMORY = 32 * 2**20
"""Bytes of a sealed stream that wait in memory before the rest waits on disk."""


@dataclass(frozen=True)
class Shipment:
    """A snapshot in the store, not yet committed."""

    plaintext: RdbMeter
    sealed: Meter
    stored: Stored


def backup(job: Job, settings: Settings, target: Target) -> None:
    """Take one backup of the target and commit it.

    Raises:
        SlotCommitted: the slot's backup is already there.
        RedkeepError: whatever else stood in the way; nothing of this run is left in the store.
    """
    signing_key = signing_key_in(settings.encryption.signing_key_file)
    recipients = [age.check_recipient(key) for key in settings.encryption.recipient_keys]
    stages = stages_of(target.backup.compression, recipients)
    store = open_store(**settings.store.arguments())
    place = Place(store, target.name, _backup_id(job))

    end_uploads(store, job.leftover)  # of an attempt that was killed: they cost room
    with place.leftover_cleared(job):
        manifest = place.standing(job)
        if manifest is None:
            with Server(target.url.get_secret_value()) as server:
                manifest = _taken(job, settings, target, place, server, stages, recipients, signing_key)
    _report(job, manifest)


# -- before ----------------------------------------------------------------------------------------------


def _backup_id(job: Job) -> str:
    """The slot's id, so that the store itself refuses a second commit; else one of this run alone, the same for
    every attempt of it."""
    if job.ticket.slot:
        return names.slot_id(job.ticket.slot)
    return names.manual_id(job.created, names.run8(job.ticket.run_id))


def _look_at_settings(job: Job, server: Server, target: Target) -> None:
    """Warn where the persistence settings are not as `enforce` wants them. Never a reason not to take a backup; and
    a user who may not ask is noted, no more: a backup needs no such right."""
    try:
        found = disagreements(server, target)
    except ServerDenied as denied:
        job.figures["settings"] = f"not seen: {denied}"
        return
    job.figures["settings"] = "differ" if found else "as wanted"
    if found:
        job.warn(f"{'; '.join(found)}: see `redkeep run enforce {target.name} --dry-run`")


# -- the way ---------------------------------------------------------------------------------------------


def _taken(
    job: Job,
    settings: Settings,
    target: Target,
    place: Place,
    server: Server,
    stages: tuple[str, ...],
    recipients: list[str],
    signing_key: Ed25519PrivateKey | None,
) -> Manifest:
    wanted = target.backup
    server.check_role(accept_replica=wanted.replica == "accept")
    facts = server.facts()
    _look_at_settings(job, server, target)
    fork: Fork = "save" if is_followed(wanted.source, target.data_dir) else "sync"
    let_fork(job, server, target, fork, settings.control.patience)
    with ExitStack() as stack:
        with job.phase("fork"):
            opened = open_snapshot(
                server,
                source=wanted.source,
                data_dir=target.data_dir,
                server_compression=wanted.server_compression,
                patience=settings.control.patience,
                checkpoint=job.checkpoint,
            )
            snapshot = stack.enter_context(opened)
        job.warn(snapshot.note)
        key = names.snapshot_key(target.name, place.id, job.nonce, stages)
        with place.taken_back_on_failure(job, key):
            shipment = _ship(job, snapshot, place.store, key, wanted.compression, recipients)
            stack.close()  # the server is let go before the commit, which may take its time
            manifest = _manifest(job, place, facts, snapshot, shipment, stages, recipients)
            with job.phase("commit"):
                job.prove()
                manifest = place.commit(job, manifest.signed(signing_key))
        if shipment.stored.parts > 1:
            place.sweep_uploads(job, key)
    return manifest


def _ship(job: Job, snapshot: Snapshot, store: Store, key: str, compression: str, recipients: list[str]) -> Shipment:
    """The snapshot's bytes through the stages into one object, measured before and after.

    Reading and measuring, sealing, and sending have a thread each: the child writes faster than one core can do all of
    it, and what is left when it has ended is done on two.
    """

    def report(size: int) -> None:
        job.checkpoint()
        done = plaintext.size
        job.progress = {"phase": "ship", "bytes": done, "total": max(snapshot.expected_bytes, done)}

    plaintext = RdbMeter(checksum_off=snapshot.checksum_off, on_bytes=report)
    sealed = Meter()
    chunks = plaintext.through(snapshot.chunks)
    chunks = ahead(chunks, AHEAD)
    chunks = seal(chunks, compression, recipients)
    # a slow store must not hold the server's child, see stream/source/sync.py
    chunks = spool(chunks, SPOOL_MEMORY) if snapshot.kind == "stream" else ahead(chunks, AHEAD)
    chunks = sealed.through(chunks)
    job.writes(key)
    with job.phase("ship"), owned(chunks):
        try:
            stored = store.put(key, chunks, size_hint=snapshot.expected_bytes)
        except BaseException:
            snapshot.abandon()
            raise
    return Shipment(plaintext, sealed, stored)


def _manifest(
    job: Job,
    place: Place,
    facts: ServerFacts,
    snapshot: Snapshot,
    shipment: Shipment,
    stages: tuple[str, ...],
    recipients: list[str],
) -> Manifest:
    plaintext, stored = shipment.plaintext, shipment.stored
    if snapshot.checksum_off:
        job.warn("the server writes no checksum into its RDB (rdbchecksum no)")
    return Manifest(
        id=place.id,
        target=place.target,
        slot=job.ticket.slot,
        created=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        task_id=job.ticket.run_id,
        run_id=job.nonce,
        fence=job.fence,
        server=facts,
        source=snapshot.facts(),
        plaintext=PlaintextFacts(
            bytes=plaintext.size,
            sha256=plaintext.sha256,
            rdb_version=plaintext.rdb_version,
            crc64=plaintext.crc64,
            keys=snapshot.keys,
            expires=snapshot.expires,
        ),
        object=ObjectFacts(
            key=stored.key,
            bytes=stored.bytes,
            sha256=shipment.sealed.sha256,
            etag=stored.etag,
            parts=stored.parts,
        ),
        stages=stages,
        recipients=tuple(recipients),
        redkeep_version=version("redkeep"),
    )


def _report(job: Job, manifest: Manifest) -> None:
    plaintext, stored = manifest.plaintext, manifest.object
    job.figures |= {
        "backup": manifest.id,
        "object": stored.key,
        "source": manifest.source.kind,
        "bytes": plaintext.bytes,
        "stored_bytes": stored.bytes,
        "ratio": round(plaintext.bytes / max(stored.bytes, 1), 2),
        "sha256": plaintext.sha256,
        "keys": sum(plaintext.keys.values()),
        "fork_usec": manifest.source.fork_usec,
        "cow_bytes": manifest.source.cow_bytes,
        "seconds": manifest.source.seconds,
    }

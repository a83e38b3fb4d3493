"""The same way down as a restore, with nothing promoted: is this backup what its manifest says, and would it load?

One download, held to the manifest while it passes. Only where redis-check-rdb is on the machine is the plaintext
written down, into a file in TMPDIR that has no name and that nobody else can open; it is handed over when all of it
has been authenticated, and gone with the process.

How it went is written beside the manifest, whether well or badly. What only kept us from looking (no identity, no
network) says nothing about the backup and leaves no verdict.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

from tasks import catalog, checker, verdicts
from tasks.errors import (
    AgeCorrupt,
    AgeHeaderInvalid,
    BackupMismatch,
    CompressionCorrupt,
    IdentityMismatch,
    ManifestInvalid,
    ObjectMissing,
    RedkeepError,
    SignatureInvalid,
    SnapshotCorrupt,
    SnapshotTruncated,
    StructureInvalid,
)
from tasks.job import Job
from tasks.keyring import identities_for
from tasks.manifest import Manifest
from tasks.restore.fetch import opened
from tasks.restore.trust import admit
from tasks.settings import Settings, Target
from tasks.store import Store, open_store
from tasks.stream import age
from tasks.stream.spool import FULL

__all__ = ["CONDEMNING", "examine", "verify"]

CONDEMNING = (
    AgeCorrupt,
    AgeHeaderInvalid,
    BackupMismatch,
    CompressionCorrupt,
    ManifestInvalid,
    ObjectMissing,
    SignatureInvalid,
    StructureInvalid,
)
"""The errors that are the backup's own fault, and so its verdict."""

SPARE = 64 * 2**20
"""Bytes that are left free in TMPDIR."""

Progress = Callable[[int, int], None]
"""Told how many sealed bytes have come, and of how many; raises where the work must stop."""
Warn = Callable[[str], None]


def verify(job: Job, settings: Settings, target: Target) -> None:
    """Verify the target's newest backup.

    Raises:
        BackupUnknown: there is none.
        RedkeepError: as :func:`examine`.
    """
    store = open_store(**settings.store.arguments())

    def progress(done: int, total: int) -> None:
        job.checkpoint()
        job.progress = {"phase": "verify", "bytes": done, "total": total}

    with job.phase("verify"):
        job.figures |= examine(
            store,
            target.name,
            catalog.resolve(store, target.name, "latest"),
            identity_files=settings.encryption.identity_files,
            trusted=settings.encryption.trusted_signers,
            server=target.drill.redis_server if target.drill else None,
            run=job.ticket.run_id,
            by=job.ticket.by,
            progress=progress,
            warn=job.warn,
        )


def examine(
    store: Store,
    target: str,
    backup_id: str,
    *,
    identity_files: Sequence[Path],
    trusted: Sequence[str],
    server: Path | None = None,
    run: str = "",
    by: str = "",
    progress: Progress,
    warn: Warn,
) -> dict[str, Any]:
    """Look at one backup, and write down how it went. Needs no control Redis.

    Args:
        trusted: who may have signed it; with nobody, that it cannot be known is a warning.
        server: a redis-server to judge the structure beside those on PATH.
        run, by: for the verdict.

    Returns:
        The figures for a record.

    Raises:
        One of `CONDEMNING`: the backup is not good, and its verdict says so.
        IdentityMissing, IdentityMismatch, KeyInvalid, ManifestTooNew, StoreUnreachable, ...: it could not be looked at.
    """
    began = time.monotonic()
    try:
        manifest = catalog.read(store, target, backup_id)
        figures = _examined(store, manifest, identity_files, trusted, server, progress, warn)
    except CONDEMNING as error:
        said = verdicts.statement(run=run, by=by, error=error)
        _pronounce(store, target, backup_id, said, warn)
        raise
    figures["seconds"] = round(time.monotonic() - began, 3)
    _pronounce(store, target, backup_id, verdicts.statement(run=run, by=by, figures=figures), warn)
    return {"backup": backup_id} | figures


def _pronounce(store: Store, target: str, backup_id: str, said: verdicts.Statement, warn: Warn) -> None:
    """Whoever may only read the store can still verify; the verdict is then this run's alone."""
    try:
        verdicts.pronounce(store, target, backup_id, "verified", said)
    except RedkeepError as error:
        warn(f"the verdict could not be stored: {error}")


def _examined(
    store: Store,
    manifest: Manifest,
    identity_files: Sequence[Path],
    trusted: Sequence[str],
    server: Path | None,
    progress: Progress,
    warn: Warn,
) -> dict[str, Any]:
    told = admit(manifest, trusted, allow_unsigned=True)
    warn(told)
    etag = _check_object(store, manifest)
    identities = identities_for(manifest, identity_files)
    found = checker.checkers(server)
    done = 0

    def count(length: int) -> None:
        nonlocal done
        done += length
        progress(done, manifest.object.bytes)

    with ExitStack() as stack:
        room = found and _has_room(manifest, warn)
        spool = stack.enter_context(tempfile.TemporaryFile()) if room else None
        spooled = _held_to_manifest(store.get(manifest.object.key), manifest, identities, count, spool)
        structure = checker.Judgement("not judged", "no redis-check-rdb on this machine")
        if found:
            structure = _structure(spooled, manifest, found, lambda: progress(done, done))
    if structure.verdict == "bad":
        raise StructureInvalid(f"backup {manifest.id} cannot be loaded", detail=structure.told)
    return {
        "bytes": manifest.plaintext.bytes,
        "stored_bytes": manifest.object.bytes,
        "sha256": manifest.plaintext.sha256,
        "signature": "unchecked" if told else "trusted",
        "etag": etag,
        "structure": structure.verdict,
        "checker": structure.told,
        "spooled_bytes": manifest.plaintext.bytes if spooled else 0,
    }


def _check_object(store: Store, manifest: Manifest) -> str:
    """Size and ETag before a byte is fetched. Another ETag over the same bytes is what copying a store leaves behind
    (and what rclone's server tells of every upload in parts); whether they are the same, the digests say."""
    said = manifest.object
    found = store.head(said.key)
    if found is None:
        raise ObjectMissing(f"the object of backup {manifest.id} is gone", detail=said.key)
    if found.bytes != said.bytes:
        detail = f"{found.bytes} bytes, and its manifest says {said.bytes}"
        raise BackupMismatch(f"the object of backup {manifest.id} is not the one its manifest names", detail=detail)
    return "same" if found.etag == said.etag else "changed"


def _held_to_manifest(
    sealed: Iterator[bytes],
    manifest: Manifest,
    identities: list[str],
    count: Callable[[int], None],
    spool: IO[bytes] | None,
) -> IO[bytes] | None:
    """Read it to its end, and write the plaintext down where there is a file for it. Raises one of `CONDEMNING`, or
    why it could not be read.

    Returns:
        The file, if all of it went there.
    """
    try:
        for chunk in opened(sealed, manifest, identities, count):
            spool = _written(spool, chunk)
    except (SnapshotCorrupt, SnapshotTruncated) as error:
        raise BackupMismatch(f"backup {manifest.id} does not hold a whole RDB", detail=str(error)) from error
    except IdentityMismatch as error:
        if not {age.recipient_of(each) for each in identities} & set(manifest.recipients):
            raise
        raise BackupMismatch(f"backup {manifest.id} is sealed to others than its manifest says") from error
    return spool


def _written(spool: IO[bytes] | None, chunk: bytes) -> IO[bytes] | None:
    """None from the first chunk on for which there is no room."""
    if spool is None:
        return None
    try:
        spool.write(chunk)
        spool.flush()
    except OSError as error:
        if error.errno not in FULL:
            raise
        with suppress(OSError):
            spool.truncate(0)
        return None
    return spool


def _has_room(manifest: Manifest, warn: Warn) -> bool:
    """Whether TMPDIR has room for the plaintext and as much again as nobody should be left without."""
    needed = manifest.plaintext.bytes + SPARE
    if shutil.disk_usage(tempfile.gettempdir()).free >= needed:
        return True
    warn(f"no room in {tempfile.gettempdir()} to have the structure judged: it takes {needed} bytes")
    return False


def _structure(
    spooled: IO[bytes] | None, manifest: Manifest, found: list[checker.Checker], checkpoint: Callable[[], None]
) -> checker.Judgement:
    """The first judgement that is one; a checker too old for this RDB refuses it at once."""
    if spooled is None:
        return checker.Judgement("not judged", "no room for the plaintext")
    judgement = checker.Judgement("not judged", "")
    for each in found:
        judgement = checker.judge(each, spooled, manifest.plaintext.rdb_version, checkpoint)
        if judgement.verdict != "not judged":
            break
    return judgement

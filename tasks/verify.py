"""The same way down as a restore, with nothing promoted: is this backup what its manifest says, and would it load?

One download. What the stages give is held to the manifest while it passes; the sealed bytes are kept in an unlinked
file, so that redis-check-rdb can be handed the plaintext once more, through a pipe, when all of it has been
authenticated. The plaintext itself never touches a disk, unless the backup was shipped in the clear.

How it went is written beside the manifest, whether well or badly. What only kept us from looking (no identity, no
network) says nothing about the backup and leaves no verdict.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

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
from tasks.restore.fetch import AHEAD, opened
from tasks.restore.trust import admit
from tasks.settings import Settings, Target
from tasks.store import Store, open_store
from tasks.store.contract import CHUNK
from tasks.stream import age, unseal
from tasks.stream.shape import owned
from tasks.stream.spool import ahead

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
    etag = _check_object(store, manifest, warn)
    identities = identities_for(manifest, identity_files)
    found = checker.checkers(server)
    done = 0

    def count(length: int) -> None:
        nonlocal done
        done += length
        progress(done, manifest.object.bytes)

    with ExitStack() as stack:
        kept = stack.enter_context(tempfile.TemporaryFile()) if found else None
        sealed = _kept(store.get(manifest.object.key), kept, warn)
        _held_to_manifest(sealed, manifest, identities, count)
        structure = checker.Judgement("not judged", "no redis-check-rdb on this machine")
        if kept is not None:
            structure = _structure(kept, manifest, identities, found, lambda: progress(done, manifest.object.bytes))
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
    }


def _check_object(store: Store, manifest: Manifest, warn: Warn) -> str:
    """Size and ETag before a byte is fetched. Another ETag over the same bytes is what copying a store leaves behind,
    and the digests tell whether they are the same."""
    said = manifest.object
    found = store.head(said.key)
    if found is None:
        raise ObjectMissing(f"the object of backup {manifest.id} is gone", detail=said.key)
    if found.bytes != said.bytes:
        detail = f"{found.bytes} bytes, and its manifest says {said.bytes}"
        raise BackupMismatch(f"the object of backup {manifest.id} is not the one its manifest names", detail=detail)
    if found.etag == said.etag:
        return "same"
    warn("the object was written anew since: its ETag is not the manifest's")
    return "changed"


def _held_to_manifest(
    sealed: Iterator[bytes], manifest: Manifest, identities: list[str], count: Callable[[int], None]
) -> None:
    """Read it to its end. Raises one of `CONDEMNING`, or why it could not be read."""
    try:
        for _ in opened(sealed, manifest, identities, count):
            pass
    except (SnapshotCorrupt, SnapshotTruncated) as error:
        raise BackupMismatch(f"backup {manifest.id} does not hold a whole RDB", detail=str(error)) from error
    except IdentityMismatch as error:
        if not {age.recipient_of(each) for each in identities} & set(manifest.recipients):
            raise
        raise BackupMismatch(f"backup {manifest.id} is sealed to others than its manifest says") from error


def _kept(chunks: Iterator[bytes], file: BinaryIO | None, warn: Warn) -> Iterator[bytes]:
    """The same chunks, written down in passing; where there is no room, without."""
    with owned(chunks):
        for chunk in chunks:
            if file is not None:
                try:
                    file.write(chunk)
                except OSError as error:
                    warn(f"no room in TMPDIR to have the structure judged: {(error.strerror or '').lower()}")
                    file.truncate(0)
                    file = None
            yield chunk


def _structure(
    file: BinaryIO,
    manifest: Manifest,
    identities: list[str],
    found: list[checker.Checker],
    checkpoint: Callable[[], None],
) -> checker.Judgement:
    """The first judgement that is one; a checker too old for this RDB refuses it at once."""
    judgement = checker.Judgement("not judged", "")
    for each in found:
        file.seek(0)
        if not file.read(1) and manifest.object.bytes:
            return checker.Judgement("not judged", "no room in TMPDIR")
        chunks = ahead(unseal(_read(file, checkpoint), manifest.stages, identities), AHEAD)
        judgement = checker.judge(each, chunks, manifest.plaintext.rdb_version)
        if judgement.verdict != "not judged":
            break
    return judgement


def _read(file: BinaryIO, checkpoint: Callable[[], None]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(CHUNK):
        checkpoint()
        yield chunk

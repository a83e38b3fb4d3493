"""The plain RDB of a backup, held to its manifest while it passes.

The object's size and digest, the age authentication, the compression's own checksum, the plaintext's size and digest,
the RDB's magic and CRC64. What is given out is only to be trusted once the iterator has ended normally.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from tasks.errors import BackupMismatch
from tasks.manifest import Manifest
from tasks.store import Store
from tasks.stream import unseal
from tasks.stream.meter import Meter, RdbMeter
from tasks.stream.shape import owned
from tasks.stream.spool import ahead

__all__ = ["OnBytes", "fetch", "opened"]

OnBytes = Callable[[int], None]

AHEAD = 4
"""Chunks of 1 MiB that wait between two threads: reading, unsealing and hashing then share the cores."""


def fetch(
    store: Store, manifest: Manifest, identities: Sequence[str], on_bytes: OnBytes | None = None
) -> Iterator[bytes]:
    """The plain RDB of one backup, verified in passing.

    Args:
        identities: private keys as age writes them; none needed where the backup is not encrypted.
        on_bytes: told the length of each sealed chunk as it comes; may raise.

    Raises:
        BackupMismatch: what came is not what the manifest says, in place of the normal end.
        IdentityMissing, IdentityMismatch, AgeCorrupt, AgeHeaderInvalid, CompressionCorrupt: while unsealing.
        SnapshotCorrupt, SnapshotTruncated: the RDB itself is not whole.
        ObjectMissing, StoreUnreachable, ...: as the store answers.
    """
    return opened(store.get(manifest.object.key), manifest, identities, on_bytes)


def opened(
    chunks: Iterator[bytes], manifest: Manifest, identities: Sequence[str], on_bytes: OnBytes | None = None
) -> Iterator[bytes]:
    """The same of an object's bytes, wherever they come from. These are read and hashed in a thread of their own."""
    sealed = Meter(on_bytes)
    plaintext = RdbMeter(checksum_off=manifest.plaintext.crc64 is None)
    chunks = sealed.through(chunks)
    chunks = ahead(chunks, AHEAD)
    chunks = unseal(chunks, manifest.stages, identities)
    chunks = ahead(chunks, AHEAD)
    chunks = plaintext.through(chunks)
    return _held_to(manifest, chunks, sealed, plaintext)


def _held_to(manifest: Manifest, chunks: Iterator[bytes], sealed: Meter, plaintext: RdbMeter) -> Iterator[bytes]:
    with owned(chunks):
        yield from chunks
    said, found = manifest.object, sealed
    if (said.bytes, said.sha256) != (found.size, found.sha256):
        raise BackupMismatch(f"the object of backup {manifest.id} is not the one its manifest names")
    content = manifest.plaintext
    if (content.bytes, content.sha256) != (plaintext.size, plaintext.sha256):
        raise BackupMismatch(f"the content of backup {manifest.id} is not what its manifest says")
    if content.rdb_version != plaintext.rdb_version:  # what a server was asked whether it can load
        found_version = plaintext.rdb_version
        raise BackupMismatch(f"backup {manifest.id} is RDB version {found_version}, not what its manifest says")

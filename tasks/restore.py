"""The way back: manifest -> fetch -> unseal -> verify -> promote.

Everything is checked against the manifest while it passes: the object's size and digest, the age authentication,
the compression's own checksum, the plaintext's size and digest, the RDB's CRC64. What is given out is only to be
trusted once the iterator has ended normally; `to_file` promotes nothing before that.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from tasks.errors import BackupMismatch, FileExists, FileUnwritable
from tasks.manifest import Manifest
from tasks.store import Store
from tasks.stream import unseal
from tasks.stream.meter import Meter, RdbMeter

__all__ = ["fetch", "to_file", "to_stream"]

OnBytes = Callable[[int], None]


def fetch(
    store: Store, manifest: Manifest, identities: Sequence[str], on_bytes: OnBytes | None = None
) -> Iterator[bytes]:
    """The plain RDB of one backup, verified in passing.

    Args:
        identities: private keys as age writes them; none needed where the backup is not encrypted.
        on_bytes: told the length of each sealed chunk as it comes.

    Raises:
        BackupMismatch: what came is not what the manifest says, in place of the normal end.
        IdentityMissing, IdentityMismatch, AgeCorrupt, AgeHeaderInvalid, CompressionCorrupt: while unsealing.
        SnapshotCorrupt, SnapshotTruncated: the RDB itself is not whole.
        ObjectMissing, StoreUnreachable, ...: as the store answers.
    """
    sealed = Meter(on_bytes)
    plaintext = RdbMeter(checksum_off=manifest.plaintext.crc64 is None)
    chunks = store.get(manifest.object.key)
    chunks = sealed.through(chunks)
    chunks = unseal(chunks, manifest.stages, identities)
    chunks = plaintext.through(chunks)
    return _held_to(manifest, chunks, sealed, plaintext)


def _held_to(manifest: Manifest, chunks: Iterator[bytes], sealed: Meter, plaintext: RdbMeter) -> Iterator[bytes]:
    yield from chunks
    said, found = manifest.object, sealed
    if (said.bytes, said.sha256) != (found.size, found.sha256):
        raise BackupMismatch(f"the object of backup {manifest.id} is not the one its manifest names")
    if (manifest.plaintext.bytes, manifest.plaintext.sha256) != (plaintext.size, plaintext.sha256):
        raise BackupMismatch(f"the content of backup {manifest.id} is not what its manifest says")


def to_file(chunks: Iterator[bytes], path: Path, *, force: bool = False) -> int:
    """Write the RDB to a file that is there whole or not at all. Returns its bytes.

    Raises:
        FileExists: there is a file of that name, and `force` is off.
        FileUnwritable: the folder is missing, full, or may not be written.
    """
    if path.exists() and not force:
        raise FileExists(f"{path} exists")
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with _opened(temporary) as file:
            size = to_stream(chunks, file)
            file.flush()
            os.fsync(file.fileno())
        _promote(temporary, path, force=force)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    return size


def to_stream(chunks: Iterator[bytes], file: BinaryIO) -> int:
    """Write the chunks as they come. Returns their bytes.

    Raises:
        FileUnwritable: no room, or nobody reads any more.
    """
    size = 0
    for chunk in chunks:
        try:
            file.write(chunk)
        except OSError as error:
            raise FileUnwritable("cannot write", detail=(error.strerror or "").lower()) from None
        size += len(chunk)
    return size


def _opened(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as error:
        raise FileUnwritable(f"cannot write in {path.parent}", detail=(error.strerror or "").lower()) from None


def _promote(temporary: Path, path: Path, *, force: bool) -> None:
    try:
        if force:
            temporary.replace(path)
        else:
            path.hardlink_to(temporary)  # unlike a rename, this never replaces what came meanwhile
            temporary.unlink()
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except FileExistsError:
        raise FileExists(f"{path} exists") from None
    except OSError as error:
        raise FileUnwritable(f"cannot write {path}", detail=(error.strerror or "").lower()) from None

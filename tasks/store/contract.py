"""What every store promises, and what a key may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tasks.errors import ObjectExists, StoreFailed

__all__ = [
    "ObjectInfo",
    "PendingUpload",
    "Store",
    "Stored",
    "Traits",
    "already",
    "check_key",
    "check_prefix",
    "read_whole",
    "valid_key",
]

SMALL = 1024 * 1024
"""Bytes. Manifests, verdicts and holds are a few KiB; more is not one of them."""

CHUNK = 1024 * 1024
"""Bytes of one chunk that ``get`` yields; the last is shorter."""

MAX_KEY = 1024
"""Bytes of a key in UTF-8, S3's limit (Amazon S3 User Guide, "Naming Amazon S3 objects")."""


@dataclass(frozen=True)
class Stored:
    """What was written: bytes counted here, not asked of the store; ``parts`` is 1 for one plain write."""

    key: str
    bytes: int
    etag: str
    parts: int


@dataclass(frozen=True)
class ObjectInfo:
    """An object that is there.

    ``etag`` changes whenever the object is written anew. It is no digest: S3 makes it from the parts, a
    folder from size and time; the manifest's sha256 says what the bytes are. ``modified`` is aware, UTC.
    """

    key: str
    bytes: int
    modified: datetime
    etag: str


@dataclass(frozen=True)
class PendingUpload:
    """An upload that was begun and neither completed nor aborted; its bytes cost room and are not an object.

    ``started`` is aware, UTC; in a folder it is the last write, so a slow upload never looks abandoned.
    """

    key: str
    upload_id: str
    started: datetime


@dataclass(frozen=True)
class Traits:
    """What a store does with what it keeps; None where it would not say.

    Attributes:
        versioned: what is replaced or deleted stays behind as an older version.
        locked: objects can be kept from being removed for a time (S3 Object Lock).
        compares: what arrives is held to the checksum that was sent with it.
    """

    versioned: bool | None
    locked: bool | None
    compares: bool | None


class Store(Protocol):
    """Objects by key, written whole or not at all.

    Keys are relative to ``url``. A key that :func:`valid_key` refuses raises ValueError in every method.
    Each method may raise StoreUnreachable, StoreDenied, BucketMissing, StoreUnusable and StoreFailed;
    what else it may raise stands with it. A store may be used by several threads.
    """

    @property
    def url(self) -> str:
        """The address, safe to show: it never holds credentials."""

    def put(self, key: str, chunks: Iterator[bytes], *, size_hint: int = 0) -> Stored:
        """Write everything ``chunks`` yields, of any length, 0 included; an object there before is replaced.

        The object appears only after ``chunks`` ended normally. Whatever ends it otherwise (KeyboardInterrupt
        too) is raised as it is once the parts under way have ended and what was written is gone; should the
        clearing up fail, that stands in the error's notes and ``uploads`` still lists it.
        ``chunks`` is the caller's to close. ``size_hint`` in bytes, best too high, 0 for unknown.

        Raises StoreFull.
        """

    def put_once(self, key: str, body: bytes) -> Stored:
        """Write a small object if nothing is there; the same body being there already counts as written,
        so a lost reply may be tried again.

        Raises ObjectExists, StoreFull.
        """

    def exclusive(self, key: str) -> bool:
        """Whether ``put_once`` holds even against another writer at the same moment. Tried out under ``key``,
        where nothing may be; nothing stays there.
        """

    def traits(self, key: str) -> Traits:
        """What else it does. Tried out under ``key``, where nothing may be; nothing stays there. An upload in parts is
        begun and ended as well, where there are such.
        """

    def get(self, key: str) -> Iterator[bytes]:
        """The object in chunks of up to 1 MiB, from one and the same version, all of it or an error.

        Raises ObjectMissing, when the first chunk is asked for.
        """

    def read(self, key: str, limit: int = SMALL) -> bytes:
        """A small object whole. Raises ObjectMissing; StoreFailed when it is longer than ``limit`` bytes."""

    def head(self, key: str) -> ObjectInfo | None:
        """What is there under exactly this key."""

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object whose key begins with ``prefix``, ordered by the key's UTF-8 bytes."""

    def delete(self, key: str) -> None:
        """Remove the object; nothing there is fine. Under object lock S3 hides it and keeps the bytes."""

    def uploads(self, prefix: str) -> Iterator[PendingUpload]:
        """Every upload begun under ``prefix`` and not ended: running ones, and those a killed worker left."""

    def abort(self, upload: PendingUpload) -> None:
        """End it and free its room; already ended is fine."""


def valid_key(key: str) -> bool:
    """Whether a key means the same object in every store.

    Segments between slashes are not empty and begin with no dot: that leaves out ``..`` and the names under
    which a folder, or rclone's server, keeps what is not finished.

    >>> [valid_key(key) for key in ("main/manifests/a.json", "/a", "a//b", "a/../b", ".hidden", "a/", "")]
    [True, False, False, False, False, False, False]
    """
    try:
        short = len(key.encode()) <= MAX_KEY
    except UnicodeEncodeError:
        return False
    segments = key.split("/")
    return short and key.isprintable() and all(part and not part.startswith(".") for part in segments)


def check_key(key: str) -> str:
    """The key itself, or ValueError."""
    if not valid_key(key):
        raise ValueError(f"not a key: {key!r}")
    return key


def check_prefix(prefix: str) -> str:
    """The prefix itself if some key can begin with it, or ValueError.

    >>> check_prefix(""), check_prefix("main/manifests/2026")
    ('', 'main/manifests/2026')
    """
    if not valid_key(f"{prefix}x"):
        raise ValueError(f"no key begins with {prefix!r}")
    return prefix


def read_whole(key: str, chunks: Iterator[bytes], limit: int) -> bytes:
    """A small object's bytes. Raises StoreFailed when there are more than ``limit``."""
    body = bytearray()
    for chunk in chunks:
        body += chunk
        if len(body) > limit:
            raise StoreFailed(f"{key} is larger than {limit} bytes", hint="It is not a file that redkeep wrote there.")
    return bytes(body)


def already(store: Store, key: str, body: bytes) -> Stored | None:
    """Whether exactly ``body`` is there: our own write, whose reply was lost. None when nothing is.

    Raises ObjectExists when something else is.
    """
    found = store.head(key)
    if found is None:
        return None
    if found.bytes != len(body) or store.read(key, len(body)) != body:
        raise ObjectExists(f"{key} is there already")
    return Stored(key, found.bytes, found.etag, 1)

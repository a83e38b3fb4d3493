"""A bucket, or a part of one, on S3 or a server that speaks as S3 does.

Every body carries a CRC32, which the server compares before it accepts; nothing else is hashed. botocore's own
ways cost more: a SHA-256 of each body over http, and over https a trailer that copies each body twice and that
many servers refuse. AWS_REQUEST_CHECKSUM_CALCULATION=when_required, or the same in the profile, changes to a
signed SHA-256, for servers older than S3's checksums.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from tasks.errors import BucketMissing, ObjectExists, ObjectMissing, StoreDenied, StoreFailed
from tasks.store import multipart
from tasks.store.answers import status_of
from tasks.store.client import Limits, connect, plain
from tasks.store.contract import (
    SMALL,
    ObjectInfo,
    PendingUpload,
    Stored,
    Traits,
    already,
    check_key,
    check_prefix,
    read_whole,
    valid_key,
)
from tasks.store.download import download
from tasks.store.parts import Buffers, PartBody, PartSizes, cut
from tasks.store.traits import traits

__all__ = ["S3Store"]

LOCK_MODE = "COMPLIANCE"
"""Nobody can shorten it, whatever rights they stole. GOVERNANCE yields to s3:BypassGovernanceRetention, which every
policy that says ``s3:*`` grants (Amazon S3 User Guide, "Object Lock retention modes")."""

CLASS_FROM = 128 * 1024
"""Bytes. The infrequent-access classes bill no less for one object, and what is smaller is read all the time."""

CONFLICT_PAUSES = (0, 0.1, 0.2, 0.4, 0.8)
"""Seconds before each time a conditional write is sent while the server says another is under way (409)."""


def utc_now() -> datetime:
    return datetime.now(UTC)


class S3Store:
    """See :class:`tasks.store.contract.Store`. ``prefix`` may be empty; slashes around it do not matter."""

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        part_size: int = 16 * 1024 * 1024,
        concurrency: int = 4,
        storage_class: str | None = None,
        object_lock: timedelta | None = None,
        limits: Limits = Limits(),  # noqa: B008 (frozen)
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        prefix = prefix.strip("/")
        self.url = f"s3://{bucket}/{prefix}".rstrip("/")
        self._bucket = connect(
            bucket,
            f"{prefix}/" if prefix else "",
            endpoint_url=endpoint_url,
            region=region,
            concurrency=concurrency,
            limits=limits,
        )
        self._client = self._bucket.client
        self._part_size = part_size
        self._concurrency = concurrency
        self._storage_class = storage_class
        self._object_lock = object_lock
        self._now = now
        self._bucket_seen = False

    def put(self, key: str, chunks: Iterator[bytes], *, size_hint: int = 0) -> Stored:
        check_key(key)
        sizes, buffers = PartSizes(self._part_size, size_hint), Buffers()
        parts = cut(chunks, sizes, buffers.take)
        first = next(parts)
        if first.length < sizes.of(1):
            return self._put_whole(key, first.view)
        return multipart.put_parts(
            self._bucket,
            key,
            chain([first], parts),
            give=buffers.give,
            concurrency=self._concurrency,
            kept=self._kept(first.length),
        )

    def put_once(self, key: str, body: bytes) -> Stored:
        check_key(key)
        for pause in CONFLICT_PAUSES:
            time.sleep(pause)
            # asked first, because rclone's server takes the condition below and does not look at it
            if found := already(self, key, body):
                return found
            try:
                return self._put_whole(key, memoryview(body), IfNoneMatch="*")
            except ObjectExists:
                continue  # by another, or by this very write, whose reply was lost and which botocore repeated
            except StoreFailed as error:
                if status_of(error) == 501:  # the server knows no conditions: what was asked first must do
                    return self._put_whole(key, memoryview(body))
                if status_of(error) != 409:
                    raise
        raise StoreFailed(f"{key} is being written by others all the time")

    def exclusive(self, key: str) -> bool:
        self._put_whole(check_key(key), memoryview(b""))
        try:
            self._put_whole(key, memoryview(b""), IfNoneMatch="*")
        except ObjectExists:
            return True
        except StoreFailed as error:
            if status_of(error) != 501:
                raise
        finally:
            self.delete(key)
        return False

    def traits(self, key: str) -> Traits:
        return traits(self._bucket, check_key(key))

    def _put_whole(self, key: str, view: memoryview, **condition: Any) -> Stored:
        # an empty file would cost a round trip for its Expect: 100-continue
        body: Any = PartBody(view) if view else b""
        with self._bucket.answers(key):
            reply = self._client.put_object(
                **self._bucket.at(key),
                **self._kept(len(view)),
                **self._bucket.checksum(view),
                **condition,
                Body=body,
            )
        return Stored(key, len(view), plain(reply["ETag"]), 1)

    def _kept(self, length: int) -> dict[str, Any]:
        """How an object of so many bytes is kept: its class, and until when nobody can remove it."""
        kept: dict[str, Any] = {}
        if self._storage_class and length >= CLASS_FROM:
            kept["StorageClass"] = self._storage_class
        if self._object_lock:
            kept["ObjectLockMode"] = LOCK_MODE
            kept["ObjectLockRetainUntilDate"] = self._now() + self._object_lock
        return kept

    def get(self, key: str) -> Iterator[bytes]:
        return download(self._bucket, check_key(key))

    def read(self, key: str, limit: int = SMALL) -> bytes:
        return read_whole(key, self.get(key), limit)

    def head(self, key: str) -> ObjectInfo | None:
        check_key(key)
        try:
            with self._bucket.answers(key):
                reply = self._client.head_object(**self._bucket.at(key))
        except ObjectMissing:  # or its bucket: a HEAD has no body that could say which
            self._see_bucket()
            return None
        modified = reply["LastModified"].astimezone(UTC)
        return ObjectInfo(key, reply["ContentLength"], modified, plain(reply["ETag"]))

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        for found in self._pages("list_objects_v2", "Contents", prefix):
            key = found["Key"].removeprefix(self._bucket.prefix)
            if valid_key(key):
                modified = found["LastModified"].astimezone(UTC)
                yield ObjectInfo(key, found["Size"], modified, plain(found["ETag"]))

    def delete(self, key: str) -> None:
        check_key(key)
        with suppress(ObjectMissing), self._bucket.answers(key):
            self._client.delete_object(**self._bucket.at(key))

    def uploads(self, prefix: str) -> Iterator[PendingUpload]:
        with suppress(ObjectMissing):  # rclone's server says so of a bucket that has no uploads
            for found in self._pages("list_multipart_uploads", "Uploads", prefix):
                key = found["Key"].removeprefix(self._bucket.prefix)
                if valid_key(key):
                    yield PendingUpload(key, found["UploadId"], found["Initiated"].astimezone(UTC))

    def abort(self, upload: PendingUpload) -> None:
        multipart.abort(self._bucket, check_key(upload.key), upload.upload_id)

    def _pages(self, operation: Any, field: str, prefix: str) -> Iterator[dict[str, Any]]:
        """Everything that a listing returns under ``field``, page after page."""
        pages = self._client.get_paginator(operation)
        whole = self._bucket.prefix + check_prefix(prefix)
        with self._bucket.answers(prefix):
            for page in pages.paginate(Bucket=self._bucket.name, Prefix=whole):
                yield from page.get(field, [])

    def _see_bucket(self) -> None:
        """Once: is there a bucket at all? Raises BucketMissing. Not being allowed to ask counts as yes."""
        if self._bucket_seen:
            return
        try:
            with suppress(StoreDenied), self._bucket.answers():
                self._client.head_bucket(Bucket=self._bucket.name)
        except ObjectMissing as error:
            raise BucketMissing(f"no bucket named {self._bucket.name!r}", detail=error.detail) from error
        self._bucket_seen = True

"""What a bucket does beside keeping objects: as it is set, and as it is found by trying."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasks.errors import ObjectMissing, StoreDenied, StoreFailed
from tasks.store.answers import status_of
from tasks.store.client import Bucket
from tasks.store.contract import Traits
from tasks.store.multipart import abort

__all__ = ["traits"]


def traits(bucket: Bucket, key: str) -> Traits:
    """See :meth:`tasks.store.contract.Store.traits`."""
    client = bucket.client
    _begin_and_abort(bucket, key)
    return Traits(
        versioned=_set(bucket, client.get_bucket_versioning, lambda reply: reply.get("Status")),
        locked=_set(
            bucket,
            client.get_object_lock_configuration,
            lambda reply: reply["ObjectLockConfiguration"].get("ObjectLockEnabled"),
        ),
        compares=_compares(bucket, key),
    )


def _begin_and_abort(bucket: Bucket, key: str) -> None:
    """What every large object begins with, and what a failed one ends with.

    Raises:
        StoreDenied: one of the two may not be done.
    """
    with bucket.answers(key):
        begun = bucket.client.create_multipart_upload(**bucket.at(key))
    abort(bucket, key, begun["UploadId"])


def _set(bucket: Bucket, ask: Callable[..., Any], read: Callable[[Any], object]) -> bool | None:
    """Whether the bucket says Enabled there; a server or a policy may keep that to itself."""
    try:
        with bucket.answers():
            return read(ask(Bucket=bucket.name)) == "Enabled"
    except ObjectMissing:  # there is no such configuration
        return False
    except (StoreDenied, StoreFailed):
        return None


def _compares(bucket: Bucket, key: str) -> bool | None:
    """Whether a body that is not what its checksum says is refused (S3: 400 BadDigest)."""
    if not bucket.checksums:
        return None
    try:
        with bucket.answers(key):
            bucket.client.put_object(**bucket.at(key), **bucket.checksum(memoryview(b"one")), Body=b"two")
    except StoreFailed as error:
        return True if status_of(error) == 400 else None
    with bucket.answers(key):
        bucket.client.delete_object(**bucket.at(key))
    return False

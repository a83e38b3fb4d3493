"""Where backups are kept: an S3 bucket or a folder, one protocol over both.

In reading order: ``contract`` (what a store promises, and what a key may be), ``directory`` (the short
one), ``parts`` (a stream cut into parts), ``multipart`` (parts sent a few at a time), ``s3``, ``answers``
(what S3 says, in our errors).

boto3 costs 300 ms to import and is imported only when an ``s3://`` address is opened.
"""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import unquote, urlsplit

from tasks.errors import StoreUnusable
from tasks.store.contract import ObjectInfo, PendingUpload, Store, Stored, Traits, valid_key

__all__ = ["ObjectInfo", "PendingUpload", "Store", "Stored", "Traits", "open_store", "valid_key"]


def open_store(
    url: str,
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    part_size: int = 16 * 1024 * 1024,
    concurrency: int = 4,
    storage_class: str | None = None,
    object_lock: timedelta | None = None,
) -> Store:
    """The store at ``s3://bucket/prefix`` or ``file:///folder``. Nothing is asked of it yet.

    Args:
        endpoint_url: only for S3-compatible servers; with it the bucket goes into the path, not the host name.
        region: else AWS's own chain decides, as it always does for credentials.
        part_size: bytes of one part; grows by itself where ``size_hint`` needs it.
        concurrency: parts under way at once; ``put`` holds ``concurrency + 1`` of them in memory.
        storage_class: for objects of 128 KiB and more; manifests and their like stay where they can be read.
        object_lock: how long nobody may remove what is written, whatever rights they have.

    Raises:
        StoreUnusable: another scheme, a relative folder, an address with credentials in it, an unknown profile.
    """
    parts = urlsplit(url)
    if parts.username is not None or parts.query or parts.fragment:
        raise StoreUnusable(f"a store's address is only a place; this {parts.scheme or 'one'} has more in it")
    if parts.scheme == "file" and parts.netloc in {"", "localhost"} and parts.path[:1] == "/" != parts.path:
        from tasks.store.directory import DirectoryStore  # noqa: PLC0415 (beside its sibling)

        return DirectoryStore(unquote(parts.path))
    if parts.scheme == "s3" and parts.netloc:
        from tasks.store.s3 import S3Store  # noqa: PLC0415 (imports boto3: 300 ms)

        return S3Store(
            parts.netloc,
            parts.path,
            endpoint_url=endpoint_url,
            region=region,
            part_size=part_size,
            concurrency=concurrency,
            storage_class=storage_class,
            object_lock=object_lock,
        )
    raise StoreUnusable(f"no store is spelled like {url!r}")

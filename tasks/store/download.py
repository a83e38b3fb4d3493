"""An object read to its end, over as many connections as it takes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

from tasks.errors import ObjectExists, StoreFailed, StoreUnreachable
from tasks.store.client import Bucket
from tasks.store.contract import CHUNK

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import GetObjectOutputTypeDef

__all__ = ["download"]

RESUMES = 5
"""How often in a row a connection may break without having brought a byte."""


def download(bucket: Bucket, key: str) -> Iterator[bytes]:
    """The object in chunks of up to 1 MiB. A broken connection is taken up again where it ended, and only
    if the object is still the same.

    Raises ObjectMissing; StoreUnreachable when taking up brings nothing; StoreFailed when it was replaced.
    """
    at, etag, fruitless = 0, "", 0
    while True:
        reply = _open(bucket, key, at, etag)
        etag = etag or reply["ETag"]
        try:
            for chunk in _chunks(bucket, reply):
                yield chunk
                at, fruitless = at + len(chunk), 0
        except StoreUnreachable:
            fruitless += 1
            if fruitless > RESUMES:
                raise
        else:
            return


def _open(bucket: Bucket, key: str, at: int, etag: str) -> GetObjectOutputTypeDef:
    """The object from byte ``at`` on; past its beginning, only of the version named by ``etag``."""
    resume: dict[str, Any] = {"Range": f"bytes={at}-", "IfMatch": etag} if at else {}
    try:
        with bucket.answers(key):
            reply = bucket.client.get_object(**bucket.at(key), **resume)
    except ObjectExists as error:  # 412
        raise StoreFailed(f"{key} was replaced while it was read") from error
    # rclone's server does not look at IfMatch
    if at and (reply["ETag"] != etag or not reply.get("ContentRange", "").startswith(f"bytes {at}-")):
        reply["Body"].close()
        raise StoreFailed(f"{key} was replaced while it was read, or cannot be read in ranges")
    return reply


def _chunks(bucket: Bucket, reply: GetObjectOutputTypeDef) -> Iterator[bytes]:
    """The body, all that was announced. Raises StoreUnreachable when the connection ends before."""
    with closing(reply["Body"]) as body:
        while True:
            with bucket.answers():
                chunk = body.read(CHUNK)
            if not chunk:
                return
            yield chunk

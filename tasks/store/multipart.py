"""An upload in parts: a few under way at once, in bounded memory, and none left behind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from tasks.errors import ObjectMissing, RedkeepError
from tasks.store.client import Bucket, plain
from tasks.store.contract import Stored
from tasks.store.parts import Part, PartBody

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

__all__ = ["abort", "put_parts", "send_all"]

Sent = TypeVar("Sent")


@dataclass(frozen=True)
class SentPart:
    """What completing needs to know of a part: how the server named it, and how long it was."""

    named: CompletedPartTypeDef
    length: int


def put_parts(
    bucket: Bucket,
    key: str,
    parts: Iterator[Part],
    *,
    give: Callable[[bytearray], None],
    concurrency: int,
    kept: dict[str, Any],
) -> Stored:
    """Begin, send, complete; whatever goes wrong in between, abort and raise it.

    ``kept`` are the arguments that say how the object is kept. The error of a failed abort becomes a note
    of the first one.
    """
    algorithm: dict[str, Any] = {"ChecksumAlgorithm": "CRC32"} if bucket.checksums else {}
    with bucket.answers(key):
        begun = bucket.client.create_multipart_upload(**bucket.at(key), **kept, **algorithm)
    upload_id = begun["UploadId"]
    try:
        sent = send_all(parts, lambda part: _send(bucket, key, upload_id, part), give, concurrency)
        return _complete(bucket, key, upload_id, sent)
    except BaseException as error:
        try:
            abort(bucket, key, upload_id)
        except RedkeepError as second:
            error.add_note(f"aborting the upload of {key} failed as well: {second}")
        raise


def abort(bucket: Bucket, key: str, upload_id: str) -> None:
    """End an upload with no part under way; already ended is fine."""
    with suppress(ObjectMissing), bucket.answers(key):
        bucket.client.abort_multipart_upload(**bucket.at(key), UploadId=upload_id)


def _send(bucket: Bucket, key: str, upload_id: str, part: Part) -> SentPart:
    checksum = bucket.checksum(part.view)
    with bucket.answers(key):
        body: Any = PartBody(part.view)
        reply = bucket.client.upload_part(
            **bucket.at(key), **checksum, UploadId=upload_id, PartNumber=part.number, Body=body
        )
    named: CompletedPartTypeDef = {"PartNumber": part.number, "ETag": reply["ETag"]}
    if checksum:
        named["ChecksumCRC32"] = checksum["ChecksumCRC32"]
    return SentPart(named, part.length)


def _complete(bucket: Bucket, key: str, upload_id: str, sent: list[SentPart]) -> Stored:
    length = sum(part.length for part in sent)
    try:
        with bucket.answers(key):
            etag = bucket.client.complete_multipart_upload(
                **bucket.at(key), UploadId=upload_id, MultipartUpload={"Parts": [part.named for part in sent]}
            )["ETag"]
    except ObjectMissing:  # no such upload: completed before, and the reply was lost?
        with bucket.answers(key):
            found = bucket.client.head_object(**bucket.at(key))
        if found["ContentLength"] != length:
            raise
        etag = found["ETag"]
    return Stored(key, length, plain(etag), len(sent))


def send_all(
    parts: Iterable[Part],
    send: Callable[[Part], Sent],
    give: Callable[[bytearray], None],
    concurrency: int,
) -> list[Sent]:
    """Send every part, at most ``concurrency`` at once, and return what ``send`` returned, in the parts' order.

    While all are busy the next part is not asked for, so ``parts`` waits; memory is ``concurrency + 1`` parts.
    ``give`` gets a buffer back when its part is sent. The first error, from ``parts`` or ``send``, is raised
    after every send under way has ended: only then may the upload be aborted, or a part that arrives after
    the abort stays in the bucket for ever (Amazon S3 API Reference, AbortMultipartUpload).
    """
    sent: dict[int, Sent] = {}
    flying: dict[Future[Sent], Part] = {}

    def land(*, leave: int) -> None:
        """Take in what has ended, waiting until no more than ``leave`` are under way."""
        while flying:
            done = wait(flying, timeout=None if len(flying) > leave else 0, return_when=FIRST_COMPLETED).done
            if not done:
                return
            for future in done:
                part = flying.pop(future)
                sent[part.number] = future.result()
                give(part.buffer)

    with ThreadPoolExecutor(concurrency, thread_name_prefix="part") as senders:  # leaving it waits for all
        for part in parts:
            land(leave=concurrency - 1)
            flying[senders.submit(send, part)] = part
            land(leave=concurrency)
        land(leave=0)
    return [sent[number] for number in sorted(sent)]

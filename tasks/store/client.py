"""The boto3 client and its bucket: credentials, addresses, time limits, checksums."""

from __future__ import annotations

import base64
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import anycrc  # type: ignore[import-untyped]
import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from botocore.loaders import Loader, create_loader

from tasks.errors import StoreUnusable
from tasks.store.answers import answers, from_failure

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = ["Bucket", "Limits", "connect", "plain"]

CRC32 = anycrc.Model("CRC32")
"""The sum of zlib.crc32, at four times its speed."""

COMPLETE_TIMEOUT = 600
"""Seconds. Completing means putting the parts together; Amazon says minutes for the largest (API Reference,
CompleteMultipartUpload), and a server on one disk may copy the whole object."""


@dataclass(frozen=True)
class Limits:
    """How long to wait, in seconds, and how often to try: the first try counts.

    ``connect`` also bounds each block that is sent (urllib3 issue 857), so it must outlast a server that
    stops taking bytes while its disk catches up.
    """

    connect: float = 10
    read: float = 60
    attempts: int = 5


@dataclass(frozen=True)
class Bucket:
    """A client and the place in it: what every request names, and how its answers are read."""

    client: S3Client
    name: str
    prefix: str
    host: str
    checksums: bool

    def at(self, key: str) -> dict[str, Any]:
        """The arguments that name the object."""
        return {"Bucket": self.name, "Key": self.prefix + key}

    def answers(self, key: str = "") -> AbstractContextManager[None]:
        """Around a request: its failures as our errors."""
        return answers(self.name, self.host, key)

    def checksum(self, view: memoryview) -> dict[str, Any]:
        """The arguments that let the server compare what it got with what was sent.

        The algorithm beside the sum says nothing new, but object lock asks for it.
        """
        if not self.checksums:
            return {}
        crc = base64.b64encode(CRC32.calc(view).to_bytes(4, "big")).decode()
        return {"ChecksumAlgorithm": "CRC32", "ChecksumCRC32": crc}


def plain(etag: str) -> str:
    """An ETag without the quotes that some servers leave out in some answers.

    >>> plain('"46d1741e-1"'), plain("46d1741e-1")
    ('46d1741e-1', '46d1741e-1')
    """
    return etag.strip('"')


def connect(
    name: str,
    prefix: str,
    *,
    endpoint_url: str | None,
    region: str | None,
    concurrency: int,
    limits: Limits,
) -> Bucket:
    """A bucket by AWS's own chain of settings and credentials; nothing is sent yet.

    Raises StoreUnusable for an endpoint that is no http address, and for a profile that is not there.
    """
    _check_endpoint(endpoint_url)
    try:
        session = botocore.session.Session()
        session.register_component("data_loader", _descriptions())
        checksums = str(session.get_config_variable("request_checksum_calculation")).lower() != "when_required"
        client = boto3.session.Session(botocore_session=session, region_name=region).client(
            "s3",
            endpoint_url=endpoint_url,
            config=_config(checksums, concurrency, limits, path_style=endpoint_url is not None),
        )
    except BotoCoreError as error:
        raise from_failure(error, "S3") from error
    client.meta.events.register("before-call.s3.CompleteMultipartUpload", _wait_longer)
    return Bucket(client, name, prefix, urlsplit(client.meta.endpoint_url).netloc, checksums)


@cache
def _descriptions() -> Loader:
    """AWS's own descriptions of its services, parsed once per process: 80 ms for each further store."""
    return create_loader()


def _config(checksums: bool, concurrency: int, limits: Limits, *, path_style: bool) -> Config:
    s3: Any = {"payload_signing_enabled": not checksums}
    if path_style:  # a server of one's own rarely has a host name for each bucket
        s3["addressing_style"] = "path"
    return Config(
        s3=s3,
        connect_timeout=limits.connect,
        read_timeout=limits.read,
        retries={"mode": "standard", "total_max_attempts": limits.attempts},
        max_pool_connections=concurrency + 2,
        request_checksum_calculation="when_required",  # we add our own; s3.py says why
        response_checksum_validation="when_required",  # age and the manifest authenticate what is read
    )


def _wait_longer(context: dict[str, Any], **_: object) -> None:
    context["read_timeout"] = COMPLETE_TIMEOUT


def _check_endpoint(endpoint_url: str | None) -> None:
    if endpoint_url is None:
        return
    parts = urlsplit(endpoint_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        raise StoreUnusable(
            "endpoint_url is no plain http address",
            hint="Correct [store] endpoint_url: http://host:port or https://host, without user and password.",
        )

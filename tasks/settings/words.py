"""How addresses, keys and compressions are written in redkeep.toml. No refusal quotes a secret."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr
from redis.connection import Connection, parse_url

_COMPRESSION = re.compile(r"none|zstd:([1-9]|1[0-9])|gzip:[1-9]")


def _redis_url(secret: SecretStr) -> SecretStr:
    """The reason never quotes the URL: where a password's own "/" or "#" was left as it is, what redis-py takes for
    the port is a piece of the password."""
    text = secret.get_secret_value()
    try:
        options: dict[str, Any] = dict(parse_url(text))  # type: ignore[no-untyped-call]
    except ValueError:
        raise ValueError(
            "not a Redis URL like redis://user:password@host:6379/0, rediss://... or unix:///socket?db=0 "
            "(in a password, / # ? @ : are written %2F %23 %3F %40 %3A)"
        ) from None
    if "path" not in options and not re.fullmatch(r"/?[0-9]*", urlsplit(text).path):
        raise ValueError("the path of a Redis URL is the number of a database")
    try:
        options.pop("connection_class", Connection)(**options)  # connects only when it is used
    except (TypeError, ValueError):
        raise ValueError("a Redis URL has an option that does not exist there") from None
    return secret


def _web_url(secret: SecretStr) -> SecretStr:
    if not re.fullmatch(r"https?://[^/\s]+(/\S*)?", secret.get_secret_value()):
        raise ValueError("not a URL like https://host/path")
    return secret


def _signer(text: str) -> str:
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise ValueError("a signer is an Ed25519 public key, 32 bytes in base64, as `redkeep init` shows it")
    return text


def _compression(text: str) -> str:
    if not _COMPRESSION.fullmatch(text):
        raise ValueError('compression is "zstd:1" to "zstd:19", "gzip:1" to "gzip:9", or "none"')
    return text


RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
WebUrl = Annotated[SecretStr, AfterValidator(_web_url)]
Signer = Annotated[str, AfterValidator(_signer)]
Compression = Annotated[str, AfterValidator(_compression)]

"""URLs as they may be shown."""

from __future__ import annotations

from urllib.parse import SplitResult, urlsplit


def masked_url(url: str) -> str:
    """A URL as it may be shown: no user, no password, no query.

    >>> masked_url("rediss://ops:hunter2@db1:6380/0?ssl_ca_certs=x")
    'rediss://db1:6380/0'
    >>> masked_url("unix://ops:hunter2@/run/redis.sock?db=1")
    'unix:///run/redis.sock'
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return SplitResult(parts.scheme, host, parts.path, "", "").geturl() if host else f"{parts.scheme}://{parts.path}"

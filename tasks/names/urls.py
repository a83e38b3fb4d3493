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


def origin_of(url: str) -> str:
    """Whose URL it is, where all the rest of it is a secret, as a webhook's path is.

    >>> origin_of("https://ops:x@hooks.example:8443/services/T0/B0/secret?token=x")
    'https://hooks.example:8443'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

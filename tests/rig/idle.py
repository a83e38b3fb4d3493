"""Keys that look as if nobody had used them for a while, on any server, at once."""

from __future__ import annotations

from collections.abc import Iterable

import redis

__all__ = ["aged"]


def aged(client: redis.Redis, keys: Iterable[str | bytes], seconds: int) -> None:
    """The same keys with the same values and expiries, idle for so long."""
    for key in keys:
        client.restore(key, max(client.pttl(key), 0), client.dump(key), replace=True, idletime=seconds)

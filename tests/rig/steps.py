"""A run stopped at the n-th change that it makes of a server's settings, before or after the server has made it.

with Wire(server.port) as wire:
    at_change(wire, 2, server.kill)                 # the server never hears of the second
    at_change(wire, 2, server.kill, after=True)     # it has made it, and nobody hears of that
"""

from __future__ import annotations

from collections.abc import Callable

from rig.redis_servers import RedisServer
from rig.wire import Wire

__all__ = ["APPLY", "AS_IT_WAS", "CHANGES", "KEYS", "REPORT", "at_change", "kept", "populated"]

APPLY = {"enforce": "apply"}
REPORT = {"enforce": "report"}
"""[target.persistence], as far as it is not the default."""
AS_IT_WAS = ("3600 1", "no")
"""How a server of :func:`populated` persists."""

CHANGES = ("CONFIG REWRITE", "CONFIG SET appendonly yes", "CONFIG REWRITE", 'CONFIG SET save ""', "CONFIG REWRITE")
"""What `enforce` changes on a server that has save points and no AOF, in this order."""
_KINDS = (b"\r\n$7\r\nREWRITE\r\n", b"\r\n$3\r\nSET\r\n")
KEYS = 1000


def at_change(wire: Wire, number: int, act: Callable[[], object], *, after: bool = False) -> None:
    """Call ``act`` at that change, counted from 1."""
    seen = 0

    def count(kind: bytes) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            wire.when_answered(b"+OK", act) if after else act()
        else:
            wire.when_sent(kind, lambda: count(kind))

    for kind in _KINDS:
        wire.when_sent(kind, lambda kind=kind: count(kind))  # type: ignore[misc]


def populated(flavour: str, **options: object) -> RedisServer:
    """A server as so many are: save points, a dump of all its keys, no AOF. The caller closes it (``with``)."""
    server = RedisServer(flavour, **{"save": ["3600 1"], "appendonly": "no"} | options).start()
    client = server.client()
    client.execute_command("DEBUG", "POPULATE", str(KEYS), "key", "100")
    client.save()
    return server


def kept(server: RedisServer) -> tuple[str, str]:
    """How it persists: its save points, and whether AOF is on."""
    client = server.client()
    return client.config_get("save")["save"], client.config_get("appendonly")["appendonly"]

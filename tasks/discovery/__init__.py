"""The Redis servers of this machine, found without asking anybody anything: over loopback and unix sockets only.

listening     what listens here, as the kernel tells it

Only what may well be a Redis is spoken to: the ports that servers name in their process titles, the usual ports, and
sockets called so. Each is asked INFO, and CONFIG GET dir; a wrong guess costs its owner one line in a log.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tasks.discovery.listening import ports, sockets, titled
from tasks.errors import RedkeepError, ServerAuthFailed, ServerDenied
from tasks.names import masked_url
from tasks.server import Server, parse_keyspace

__all__ = ["Found", "discover", "look"]

USUAL = range(6379, 6390)
"""Redis' own port, and where people put their second and third."""
PLACES = ("/run/redis/redis-server.sock", "/run/redis/redis.sock", "/run/valkey/valkey.sock", "/tmp/redis.sock")  # noqa: S108
"""Where packages put a socket: also one that came here from another container is found there."""
WITHIN = 0.5
"""Seconds for a connection or an answer on this machine."""
MOST = 32
"""Places that are asked at most."""


@dataclass(frozen=True)
class Found:
    """A server that answers here.

    Attributes:
        locked: it wants a password before it says anything more.
        data_dir: its `dir`, where it tells and this machine has such a folder; else empty.
    """

    url: str
    locked: bool = False
    name: str = ""
    version: str = ""
    run_id: str = ""
    primary: bool = True
    keys: int = 0
    used_memory: int = 0
    data_dir: str = ""

    def __str__(self) -> str:
        """
        >>> str(Found("redis://127.0.0.1:6379", name="redis", version="7.0.15", keys=1200, used_memory=5 * 2**20))
        'redis 7.0.15 at redis://127.0.0.1:6379 (1,200 keys, 5 MiB)'
        """
        shown = masked_url(self.url)
        if self.locked:
            return f"a Redis with a password at {shown}"
        keys = f"{self.keys:,} key{'' if self.keys == 1 else 's'}, {self.used_memory / 2**20:.0f} MiB"
        holds = f"{keys if self.keys else 'empty'}{'' if self.primary else ', a replica'}"
        return f"{self.name} {self.version} at {shown} ({holds})"


def discover(proc: Path = Path("/proc"), places: Sequence[str] = PLACES) -> list[Found]:
    """Every server once, the one most worth keeping first: one that is open, a primary, and has keys."""
    urls = list(_candidates(proc, places))[:MOST]
    if not urls:
        return []
    with ThreadPoolExecutor(8) as pool:
        answers = [each for each in pool.map(look, urls) if each is not None]
    once: dict[str, Found] = {}
    for each in answers:  # by its port before its socket
        once.setdefault(each.run_id or each.url, each)
    return sorted(once.values(), key=lambda each: (each.locked, not each.primary, not each.keys))


def _candidates(proc: Path, places: Sequence[str]) -> Iterator[str]:
    listening = ports(proc)
    servers = titled(proc) | set(USUAL)
    for port in sorted(servers & set(listening), key=lambda port: (port not in USUAL, port)):
        yield f"redis://{listening[port]}:{port}"
    for path in dict.fromkeys([*sockets(proc), *(place for place in places if Path(place).is_socket())]):
        yield f"unix://{path}"


def look(url: str) -> Found | None:
    """What answers there; None for what is no Redis, or one too old, or a Sentinel."""
    try:
        with Server(url, timeout=WITHIN) as server:
            return _asked(server, url)
    except (ServerAuthFailed, ServerDenied):
        return Found(url, locked=True)
    except (RedkeepError, KeyError):  # KeyError: it answers INFO as no Redis does, a Sentinel for one
        return None


def _asked(server: Server, url: str) -> Found:
    facts = server.facts()
    keys, _ = parse_keyspace(server.ask("INFO", "keyspace"))
    return Found(
        url,
        name=facts.name,
        version=facts.version,
        run_id=facts.run_id,
        primary=facts.role == "master",
        keys=sum(keys.values()),
        used_memory=facts.used_memory or 0,
        data_dir=_data_dir(server),
    )


def _data_dir(server: Server) -> str:
    try:
        told = server.config("dir").get("dir", "")
    except RedkeepError:
        return ""
    return told if told and Path(told).is_dir() else ""

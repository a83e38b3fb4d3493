"""What listens on this machine, as the kernel tells it (proc(5)): ports that loopback reaches, and sockets by path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

__all__ = ["ports", "sockets", "titled"]

LISTEN = "0A"
"""TCP_LISTEN (net/tcp_states.h)."""
ACCEPTING = 0x10000
"""__SO_ACCEPTCON, the flag of a unix socket that listens."""
SERVERS = ("redis-server", "valkey-server", "keydb-server")


def ports(proc: Path) -> dict[int, str]:
    """By port, the loopback address at which it can be reached from here. A port that only another interface has is
    left out: nothing here connects anywhere but to loopback."""
    found: dict[int, str] = {}
    for name in ("net/tcp", "net/tcp6"):
        for address, port in _listening(_read(proc / name)):
            if (reached := _loopback(address)) is not None:
                found.setdefault(port, reached)
    return found


def _listening(table: str) -> Iterator[tuple[IPv4Address | IPv6Address, int]]:
    for line in table.splitlines()[1:]:
        fields = line.split()
        if len(fields) > 3 and fields[3] == LISTEN:
            address, _, port = fields[1].partition(":")
            yield _address(address), int(port, 16)


def _address(text: str) -> IPv4Address | IPv6Address:
    """The kernel prints 32-bit words in the machine's own order.

    >>> _address("0100007F"), _address("00000000000000000000000001000000")
    (IPv4Address('127.0.0.1'), IPv6Address('::1'))
    """
    words = (bytes.fromhex(text[at : at + 8])[::-1] for at in range(0, len(text), 8))
    packed = b"".join(words)
    return IPv4Address(packed) if len(packed) == 4 else IPv6Address(packed)


def _loopback(address: IPv4Address | IPv6Address) -> str | None:
    """
    >>> [_loopback(IPv4Address(each)) for each in ("0.0.0.0", "127.0.0.2", "10.0.0.5")]
    ['127.0.0.1', '127.0.0.2', None]
    >>> [_loopback(IPv6Address(each)) for each in ("::", "::1", "::ffff:127.0.0.1")]
    ['[::1]', '[::1]', '127.0.0.1']
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return _loopback(address.ipv4_mapped)
        return "[::1]" if address.is_unspecified or address.is_loopback else None
    if address.is_unspecified:
        return "127.0.0.1"
    return str(address) if address.is_loopback else None


def sockets(proc: Path) -> list[str]:
    """Paths of the unix sockets that listen and have a Redis in their name."""
    found = set()
    for line in _read(proc / "net/unix").splitlines()[1:]:
        fields = line.split(maxsplit=7)
        if len(fields) == 8 and int(fields[3], 16) & ACCEPTING and re.search(r"^/.*(redis|valkey)", fields[7]):
            found.add(fields[7])
    return sorted(found)


def titled(proc: Path) -> set[int]:
    """The ports that servers name in their process titles, which everybody may read: ``redis-server *:6379``."""
    found = set()
    for path in proc.glob("[0-9]*/cmdline"):
        name, _, rest = _read(path).replace("\0", " ").partition(" ")
        port = re.match(r"\S*:(\d+)\b", rest.strip())
        if name.rpartition("/")[2] in SERVERS and port:
            found.add(int(port[1]))
    return found


def _read(path: Path) -> str:
    """Its text; nothing where there is no such file, or a process that has just ended."""
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""

"""Whether a server can load an RDB: by vendor and RDB version, never by comparing server versions.

A running server tells its own limit in the footer of `FUNCTION DUMP`: two bytes of RDB version before eight of
checksum (cluster.c, createDumpPayload). An RDB too new was seen to empty a server that was given it over replication.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.errors import RdbTooNew, ServerDenied, ServerUnsupported
from tasks.manifest import Manifest
from tasks.server import Server

__all__ = ["Reader", "check_loads", "reader_named", "reader_of"]

VALKEY_FIRST = 80
"""From this RDB version on a file is Valkey's own (valkey rdb.h, RDB_FOREIGN_VERSION_MAX + 1)."""
SHARED_LAST = 11
"""The last RDB version that Redis and Valkey share; 12 to 79 are Redis' own (valkey rdb.h, RDB_FOREIGN_VERSION_MIN)."""
WITHOUT_FUNCTIONS = 9
"""What 6.2, the only series here without FUNCTION, writes and reads (its rdb.h, RDB_VERSION)."""
NEWEST = {
    "redis": {(6, 2): 9, (7, 0): 10, (7, 2): 11, (7, 4): 12, (8, 0): 12, (8, 2): 12},
    "valkey": {(7, 2): 11, (8, 0): 11, (8, 1): 11, (9, 0): 80, (9, 1): 80},
}
"""RDB_VERSION in each release's rdb.h: only for a server that is not there to be asked."""


@dataclass(frozen=True)
class Reader:
    """What a server can load.

    Attributes:
        newest: RDB version; None where it is not known, because the server is newer than this table.
        told: the server as it is called in messages.
    """

    vendor: str
    version: tuple[int, int]
    newest: int | None
    told: str

    def loads(self, rdb_version: int) -> bool:
        """
        >>> valkey = Reader("valkey", (9, 1), 80, "valkey 9.1")
        >>> [valkey.loads(version) for version in (9, 11, 12, 80, 81)]
        [True, True, False, True, False]
        >>> [Reader("redis", (8, 2), 12, "redis 8.2").loads(version) for version in (9, 12, 13, 80)]
        [True, True, False, False]
        """
        foreign = rdb_version >= VALKEY_FIRST if self.vendor == "redis" else SHARED_LAST < rdb_version < VALKEY_FIRST
        return not foreign and (self.newest is None or rdb_version <= self.newest)


def check_loads(manifest: Manifest, reader: Reader) -> None:
    """
    Raises:
        RdbTooNew: that server cannot load this snapshot; both are named.
    """
    wanted = manifest.plaintext.rdb_version
    if not reader.loads(wanted):
        came_from = f"{manifest.server.name} {manifest.server.version}"
        vendor = "valkey" if wanted >= VALKEY_FIRST else "redis"
        raise RdbTooNew(
            f"backup {manifest.id} is {vendor} RDB version {wanted}, "
            f"and {reader.told} reads {reader.vendor} RDB up to version {reader.newest}",
            hint=f"Restore into a server as new as the one it came from: {came_from}.",
        )


def reader_of(server: Server) -> Reader:
    """What a running server can load, asked of itself.

    Raises:
        ServerDenied: the user may not run FUNCTION DUMP.
    """
    facts = server.facts()
    told = f"{facts.name} {facts.version} at {server.shown}"
    return Reader(facts.name, _series(facts.version), _newest(server, facts.name, facts.version), told)


def _newest(server: Server, vendor: str, version: str) -> int:
    try:
        return _footer(server.ask("FUNCTION", "DUMP"))
    except ServerDenied:
        if (vendor, _series(version)) != ("redis", (6, 2)):
            raise
    return WITHOUT_FUNCTIONS


def _footer(payload: bytes) -> int:
    """
    >>> _footer(bytes([0, 12, 0]) + bytes(8))
    12
    """
    return int.from_bytes(payload[-10:-8], "little")


def reader_named(named: str) -> Reader:
    """What a server of a named version can load: "7.0.15", "redis-8.2", "valkey-9.1".

    Raises:
        ServerUnsupported: that is not a version, or one too old.

    >>> reader_named("7.0.15").newest, reader_named("valkey-9.1").newest, reader_named("99.0").newest
    (10, 80, None)
    """
    found = re.fullmatch(r"(?:(redis|valkey)[- ])?v?(\d+)\.(\d+)(?:\.\d+)*", named.lower())
    if found is None:
        raise ServerUnsupported(f"not a server's version: {named[:40]!r}", hint="Write 7.0.15 or valkey-9.1.")
    vendor, version = found[1] or "redis", (int(found[2]), int(found[3]))
    known = NEWEST[vendor]
    if version < min(known):
        raise ServerUnsupported(f"{vendor} {named} is too old")
    newest = None if version > max(known) else max(rdb for series, rdb in known.items() if series <= version)
    return Reader(vendor, version, newest, f"{vendor} {found[2]}.{found[3]}")


def _series(version: str) -> tuple[int, int]:
    major, minor = version.split(".")[:2]
    return int(major), int(minor)

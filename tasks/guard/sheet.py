"""What the guard knows of a server and its machine: figures only, all taken within a few milliseconds.

Bytes are bytes, seconds are seconds; None, or a zero where that cannot be, is what could not be known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Disk", "Fork", "Machine", "Past", "Replication", "Sheet"]

Fork = Literal["save", "sync", "rewrite"]
"""What is about to fork: a BGSAVE into the data directory, a full resynchronisation to us, an AOF rewrite."""


@dataclass(frozen=True)
class Past:
    """How the server's last fork of a kind went.

    Attributes:
        seconds: whole ones, as INFO has them; -1 where there was none.
        cow_bytes: pages copied meanwhile.
    """

    seconds: int = -1
    cow_bytes: int = 0


@dataclass(frozen=True)
class Replication:
    """
    Attributes:
        link: whether a replica has its primary; a primary always has.
        receiving: it is being sent a whole data set. sending: to so many replicas it sends one.
        failover: a failover that its operator asked for goes on.
    """

    role: str = "master"
    link: bool = True
    receiving: bool = False
    sending: int = 0
    failover: bool = False


@dataclass(frozen=True)
class Machine:
    """The machine the server runs on, where that is this one.

    Attributes:
        available: what the kernel would give without swapping (MemAvailable). total: MemTotal.
        limit, headroom: of the server's memory cgroup: the least of it and those above it, and what is left of that,
            cache that can be dropped counted as left. None where there is no limit, or its process cannot be seen.
        swapped: bytes of the server that are swapped out.
        swapping: bytes a second that go to and from swap just now, all processes together.
        stalled: percent of the last ten seconds in which something waited for memory (PSI).
        overcommit: vm.overcommit_memory.
        committable: what the kernel still lets be promised, where it counts (under overcommit 2).
        to_commit: what a fork of the server promises: its private writable memory, or what it uses.
        huge_pages: they are forced on the server (`always`, and it did not opt out).
    """

    available: int
    total: int
    limit: int | None = None
    headroom: int | None = None
    swapped: int = 0
    swapping: float = 0.0
    stalled: float = 0.0
    overcommit: int = 1
    committable: int | None = None
    to_commit: int = 0
    huge_pages: bool = False


@dataclass(frozen=True)
class Disk:
    """A file system: where it was looked at, and its free bytes (for those who are not root)."""

    path: str
    free: int
    total: int


@dataclass(frozen=True)
class Sheet:
    """
    Attributes:
        used, rss, dataset: used_memory, what the kernel has given, and the data without the server's overhead.
        total_memory: of the server's machine, as the server tells it.
        busy: what leaves no room for a fork: "a save", "an AOF rewrite", ...; loading has its own field.
        forks, fork_usec: how many there were, and how long the last one held the server.
        writes, usual_writes: changes of keys a second, just now and since the last save.
        input: bytes a second that clients send.
        dump_bytes, aof_bytes: the last dump as it lies there, and the whole AOF; 0 where there is none to be seen.
        multi_part: an AOF is a folder (from 7.0): during a rewrite nothing is buffered in memory.
        save_points: it saves by itself; then a full disk stops the site's writes.
        snapshot_on_disk: for `sync`, whether the server writes a dump before it sends it.
        machine: None where the server is elsewhere.
        data_disk, aof_disk: where `dir` and the AOF lie; None where that cannot be seen.
    """

    used: int
    rss: int
    dataset: int
    total_memory: int = 0
    loading: bool = False
    busy: str = ""
    forks: int = 0
    fork_usec: int = 0
    save: Past = Past()
    rewrite: Past = Past()
    writes: float = 0.0
    usual_writes: float = 0.0
    input: float = 0.0
    dump_bytes: int = 0
    aof_bytes: int = 0
    multi_part: bool = True
    save_points: bool = False
    snapshot_on_disk: bool = False
    replication: Replication = Replication()
    machine: Machine | None = None
    data_disk: Disk | None = None
    aof_disk: Disk | None = None

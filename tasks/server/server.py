"""What a server is and does, and the waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable

from tasks.errors import ReplicaStale, ServerIsReplica, ServerLoading, ServerSaving, ServerUnsupported
from tasks.manifest import ServerFacts
from tasks.server.info import busy
from tasks.server.wire import Wire

__all__ = ["POLL", "Checkpoint", "Server"]

Checkpoint = Callable[[], None]
"""Called at every step of a long wait; raises where the work must stop."""

POLL = 0.05
"""Seconds between two looks at a state that somebody else changes."""


class Server(Wire):
    """One server under care, over one connection; see :class:`tasks.server.wire.Wire`."""

    def facts(self) -> ServerFacts:
        """Vendor, version, role and mode.

        Raises:
            ServerUnsupported: older than Redis 6.2.
        """
        info = self.info("server") | self.info("replication") | self.info("memory")
        vendor = "valkey" if info.get("server_name") == "valkey" else "redis"
        version = info.get("valkey_version") or info.get("redis_version", "0")
        if vendor == "redis" and tuple(int(part) for part in version.split(".")[:2]) < (6, 2):
            raise ServerUnsupported(f"{self.shown} is Redis {version}")
        return ServerFacts(
            name="valkey" if vendor == "valkey" else "redis",
            version=version,
            run_id=info["run_id"],
            role=info["role"],
            mode=info.get("redis_mode") or info.get("server_mode", "standalone"),
            used_memory=int(info["used_memory"]),
        )

    def check_role(self, *, accept_replica: bool) -> None:
        """
        Raises:
            ServerIsReplica: it follows a primary, and that was not said to be meant.
            ReplicaStale: it is meant, but its link is down, so its data may be old.
        """
        info = self.info("replication")
        if info["role"] == "master":
            return
        if not accept_replica:
            raise ServerIsReplica(f"{self.shown} is a replica")
        if info.get("master_link_status") != "up":
            raise ReplicaStale(f"{self.shown} has lost its primary")

    def wait_until_quiet(self, patience: float, checkpoint: Checkpoint) -> None:
        """Return once no save, no rewrite and no loading is under way.

        Raises:
            ServerLoading, ServerSaving: it still is after `patience` seconds.
        """
        end = time.monotonic() + patience
        while True:
            checkpoint()
            if not (doing := busy(self.info("persistence"))):
                return
            if time.monotonic() >= end:
                kind = ServerLoading if doing == "loading" else ServerSaving
                raise kind(f"{self.shown} is still busy after {patience:g} s", detail=doing)
            time.sleep(POLL)

    def wait_for_child(self, checkpoint: Checkpoint) -> None:
        """Return once the save or rewrite that runs now has ended, however long it takes. Another may run by then."""
        forks = self.info("stats")["total_forks"]
        while busy(self.info("persistence")) and self.info("stats")["total_forks"] == forks:
            checkpoint()
            time.sleep(POLL)

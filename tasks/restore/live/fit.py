"""Whether a server may be restored into as it is. Looks only; nothing is changed there."""

from __future__ import annotations

from dataclasses import dataclass

from tasks.errors import MemoryShort, RestoreBusy, RestoreUnfit
from tasks.manifest import Manifest, ServerFacts
from tasks.names import RESTORE_MARK
from tasks.restore.memory import available_here, needed_for
from tasks.restore.reader import check_loads, reader_of
from tasks.server import Server, parse_keyspace

__all__ = ["CLIENT", "Fit", "fit"]

CLIENT = "redkeep-restore"
"""How our connection is named there for as long as we work, so that a second restore sees it."""
ASYNC_LOADING = (7, 0)
"""From here on a server can load beside its old data, and serves that meanwhile."""


@dataclass(frozen=True)
class Fit:
    """A server that may be restored into.

    Attributes:
        swap: it serves its old data until the new is in; otherwise it has none from when loading begins.
        replication_id: its own.
        warnings: what the operator should know before saying yes.
    """

    facts: ServerFacts
    swap: bool
    replication_id: str
    warnings: tuple[str, ...]


def fit(server: Server, manifest: Manifest, *, force: bool, control_run_id: str = "") -> Fit:
    """Look at everything that a live restore could stumble over.

    Args:
        force: go on although it has replicas, is the control Redis, or seems too small.
        control_run_id: of the control Redis, where there is one.

    Raises:
        RdbTooNew: it cannot load this snapshot.
        RestoreUnfit: it is a cluster node, watched by Sentinel, a replica, has replicas, too few databases, or is
            the control Redis.
        MemoryShort: the data set does not fit.
    """
    facts = server.facts()
    check_loads(manifest, reader_of(server))
    _check_left(server)
    _check_role(server, facts, force=force, is_control=facts.run_id == control_run_id)
    _check_databases(server, manifest)
    swap = facts.name == "valkey" or tuple(map(int, facts.version.split(".")[:2])) >= ASYNC_LOADING
    _check_memory(server, manifest, swap=swap, force=force)
    info = server.info("replication")
    return Fit(facts, swap, info["master_replid"], tuple(_warnings(server, swap=swap)))


def check_alone(server: Server) -> None:
    """Name our connection, and see that no other has that name. It ends with the connection.

    Raises:
        RestoreBusy: another restore is at work there.
    """
    server.ask("CLIENT", "SETNAME", CLIENT)
    named = f" name={CLIENT} ".encode()
    if sum(named in line for line in server.ask("CLIENT", "LIST").splitlines()) > 1:
        raise RestoreBusy(f"another restore into {server.shown} is at work")


def _check_left(server: Server) -> None:
    if server.config("masterauth").get("masterauth", "").startswith(RESTORE_MARK):
        raise RestoreUnfit(
            f"an earlier restore into {server.shown} was killed and has left it behind",
            hint=f"Free it first: {server.cli} REPLICAOF NO ONE; then CONFIG SET masterauth to what it was.",
        )


def _check_role(server: Server, facts: ServerFacts, *, force: bool, is_control: bool) -> None:
    if facts.mode != "standalone":
        raise RestoreUnfit(f"{server.shown} runs in {facts.mode} mode", hint="Use --to-dir on the node's own host.")
    if facts.role != "master":
        raise RestoreUnfit(f"{server.shown} is a replica", hint="Restore into its primary; the replica follows.")
    if server.ask("PUBSUB", "NUMSUB", "__sentinel__:hello")[1]:
        hint = "Sentinel would fail over in the middle: have it forget that primary first (SENTINEL REMOVE)."
        raise RestoreUnfit(f"{server.shown} is watched by Sentinel", hint=hint)
    replicas = int(server.info("replication")["connected_slaves"])
    if replicas and not force:
        hint = "Each will fetch the restored data anew; say --force if that is meant."
        raise RestoreUnfit(f"{server.shown} has {replicas} replica{'s' if replicas > 1 else ''}", hint=hint)
    if is_control and not force:
        hint = "Queued runs, leases and records in it would be gone; say --force if that is meant."
        raise RestoreUnfit(f"{server.shown} is the control Redis", hint=hint)


def _check_databases(server: Server, manifest: Manifest) -> None:
    """A server with too few ends when it loads the snapshot (rdb.c, "configured to handle more than")."""
    needed = 1 + max((int(each) for each in manifest.plaintext.keys), default=0)
    there = int(server.config("databases").get("databases", "16"))
    if there < needed:
        hint = f"Set databases {needed} in its configuration file and restart it first."
        raise RestoreUnfit(f"{server.shown} has {there} databases, and the snapshot needs {needed}", hint=hint)


def _check_memory(server: Server, manifest: Manifest, *, swap: bool, force: bool) -> None:
    """Its own limit afterwards, and its host's memory while both data sets are there."""
    memory = server.info("memory")
    used, limit, needed = int(memory["used_memory"]), int(memory.get("maxmemory", 0)), needed_for(manifest)
    if force:
        return
    if limit and needed > limit:
        raise MemoryShort(f"the data set needs about {_mib(needed)}, and {server.shown} has maxmemory {_mib(limit)}")
    total = int(memory.get("total_system_memory", 0))
    free = available_here() if server.is_here else max(total - int(memory.get("used_memory_rss", used)), 0)
    extra = needed if swap else max(needed - used, 0)
    if total and extra > free:
        both = "beside the old data" if swap else "in place of the old data"
        raise MemoryShort(f"{server.shown} needs about {_mib(extra)} more {both}, and its host has {_mib(free)} free")


def _warnings(server: Server, *, swap: bool) -> list[str]:
    told = []
    if not swap:
        told.append("from when it loads, the old data is gone: this server cannot keep it until the new is in")
    if server.config("tls-replication").get("tls-replication") == "yes":
        told.append("the snapshot crosses the network between here and there without TLS")
    if parse_keyspace(server.ask("INFO", "keyspace"))[0]:
        told.append("all keys that are there now will be replaced")
    return told


def _mib(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"

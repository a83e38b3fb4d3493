"""Before every fork: the facts are collected, the guard judges, its verdict is recorded and obeyed.

Every verb that makes a server fork comes through :func:`let_fork`, after its lease and right before the command.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from tasks.errors import GuardDeferred, GuardRefused, ServerDenied
from tasks.guard import Disk, Fork, Past, Replication, Sheet, Verdict, judge
from tasks.host import Host, disk_at
from tasks.job import Job
from tasks.server import Server
from tasks.server.info import busy
from tasks.settings import Target

__all__ = ["let_fork", "look"]

SAMPLE = 0.02
"""Seconds between the two looks that show what is being written, and swapped, just now."""


def let_fork(job: Job, server: Server, target: Target, fork: Fork, patience: float) -> Verdict:
    """Return once the server may fork, its forecast noted in the job's figures.

    Args:
        patience: seconds to wait for somebody else's save or rewrite to end; the wait is the phase `quiet`.

    Raises:
        ServerSaving, ServerLoading: it did not end.
        GuardDeferred: not now, with the reasons; worth trying again.
        GuardRefused: not before a person has done something.
    """
    with job.phase("quiet"):
        server.wait_until_quiet(patience, job.checkpoint)
    with job.phase("guard"):
        verdict = judge(look(server, target), target.guard, fork)
    job.figures |= _noted(verdict)
    if verdict.word == "go":
        return verdict
    against = verdict.of(verdict.word)
    kind = GuardDeferred if verdict.word == "defer" else GuardRefused
    hint = " ".join(dict.fromkeys(reason.remedy for reason in against))
    raise kind("; ".join(reason.told for reason in against), hint=hint)


def _noted(verdict: Verdict) -> dict[str, Any]:
    """For the record: what was expected, by the names under which the outcome will stand beside it."""
    expected = verdict.forecast
    warnings = [reason.told for reason in verdict.of("warn")]
    return {
        "guard": verdict.word,
        **({"guard_warnings": warnings} if warnings else {}),
        "expected_seconds": round(expected.seconds, 1),
        "expected_cow_bytes": expected.cow_bytes,
        "expected_fork_usec": expected.fork_usec,
        "expected_disk_bytes": expected.data_bytes + expected.aof_bytes,
    }


# -- the facts -------------------------------------------------------------------------------------------


def look(server: Server, target: Target, host: Host | None = None) -> Sheet:
    """All that can be known now of the server and, where it runs here, of this machine. Takes some 25 ms."""
    host = host or Host()
    swapped, began = host.swapped_bytes(), time.monotonic()
    info = server.info("default")
    changes = int(info.get("rdb_changes_since_last_save", 0))
    config = _config(server)
    here = host.is_that_of(info.get("os", ""), int(info.get("total_system_memory", 0)))
    process = host.process_of(int(info["process_id"]), float(info["uptime_in_seconds"])) if here else None
    here = process is not None or (here and _is_near(server, target))
    time.sleep(max(SAMPLE - (time.monotonic() - began), 0))
    later = int(server.info("persistence").get("rdb_changes_since_last_save", 0))
    passed = time.monotonic() - began
    rss = int(info["used_memory_rss"])
    swapping = (host.swapped_bytes() - swapped) / passed
    data_dir = target.data_dir or (process.path / "cwd" if process else None)
    return Sheet(
        used=int(info["used_memory"]),
        rss=rss,
        dataset=max(int(info["used_memory_dataset"]), 0),
        total_memory=int(info.get("total_system_memory", 0)),
        loading=info.get("loading", "0") != "0",
        busy=busy(info),
        forks=int(info["total_forks"]),
        fork_usec=int(info["latest_fork_usec"]),
        save=Past(int(info["rdb_last_bgsave_time_sec"]), int(info["rdb_last_cow_size"])),
        rewrite=Past(int(info["aof_last_rewrite_time_sec"]), int(info["aof_last_cow_size"])),
        writes=max(later - changes, 0) / passed,
        usual_writes=changes / max(int(info["server_time_usec"]) / 1e6 - int(info["rdb_last_save_time"]), 1.0),
        input=float(info["instantaneous_input_kbps"]) * 1024,
        dump_bytes=_size_of(data_dir, config.get("dbfilename", "")),
        aof_bytes=int(info.get("aof_current_size", 0)),
        multi_part="appenddirname" in config or info.get("server_name") == "valkey",
        save_points=bool(config.get("save")),
        snapshot_on_disk=config.get("repl-diskless-sync") == "no",
        replication=_replication(info),
        machine=host.machine(process, rss=rss, swapping=swapping) if here else None,
        data_disk=disk_at(data_dir) if data_dir else None,
        aof_disk=_aof_disk(data_dir, config.get("appenddirname", "")),
    )


def _config(server: Server) -> dict[str, str]:
    """The settings that matter. Without the right to ask, what they would tell is taken to be as usual."""
    try:
        return server.config("save", "dbfilename", "appenddirname", "repl-diskless-sync")
    except ServerDenied:
        return {}


def _is_near(server: Server, target: Target) -> bool:
    """Whether it is plain that the server is here, though its process cannot be told from others (a container's)."""
    return server.is_here or (target.data_dir is not None and os.access(target.data_dir, os.R_OK))


def _replication(info: dict[str, str]) -> Replication:
    replicas = [value for name, value in info.items() if name.startswith("slave") and "state=" in value]
    return Replication(
        role=info["role"],
        link=info["role"] == "master" or info.get("master_link_status") == "up",
        receiving=info.get("master_sync_in_progress", "0") != "0",
        sending=sum("state=online" not in each.split(",") for each in replicas),
        failover=info.get("master_failover_state", "no-failover") != "no-failover",
    )


def _size_of(data_dir: Path | None, name: str) -> int:
    """A file's, or 0 where none can be seen."""
    try:
        return (data_dir / name).stat().st_size if data_dir is not None and name else 0
    except OSError:
        return 0


def _aof_disk(data_dir: Path | None, name: str) -> Disk | None:
    """Where the AOF lies: its folder, which may be a mount of its own, or before there is one the data directory."""
    if data_dir is None:
        return None
    return (disk_at(data_dir / name) if name else None) or disk_at(data_dir)

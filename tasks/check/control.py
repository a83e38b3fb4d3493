"""The control Redis: whatever it forgets, a run may do twice."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr
from redis.connection import parse_url

from tasks import control as control_redis
from tasks import names
from tasks.check.clock import apart, clock, server_time
from tasks.check.finding import Finding, Findings
from tasks.settings import Settings, Target

__all__ = ["control"]

WHAT = "control"


def control(settings: Settings, targets: list[Target]) -> Findings:
    """Reachable, and set so that neither memory nor a crash takes leases and messages away; and what is paused."""
    keys = names.Keys(settings.control.namespace)
    client = control_redis.connect(settings.control)
    try:
        with control_redis.speaking(client):
            client.ping()  # what it takes to connect is no part of the clock's difference
            server = client.info("server")
            there = server_time({name: str(value) for name, value in server.items()})
            ahead = apart(there) if there else 0.0
            memory, persistence = client.info("memory"), client.info("persistence")
            paused = {target.name: dict(client.hgetall(keys.paused(target.name))) for target in targets}
    finally:
        client.close()
    yield Finding(WHAT, "ok", f"{names.masked_url(settings.control.url.get_secret_value())} serves")
    policy = memory.get("maxmemory_policy")
    if policy != "noeviction":
        remedy = "CONFIG SET maxmemory-policy noeviction there; other policies were seen to remove leases."
        yield Finding(WHAT, "fail", f"it may evict leases and messages ({policy})", remedy)
    yield from clock(WHAT, "the control Redis'", ahead)
    if same := [target.name for target in settings.target if _place(target.url) == _place(settings.control.url)]:
        remedy = "Give it a small Redis of its own, so that runs can be recorded while this one is down."
        yield Finding(WHAT, "warn", f"it is the server under care ({', '.join(same)})", remedy)
    elif not persistence.get("aof_enabled"):
        # CONFIG REWRITE before the first AOF is whole would have the next start find none, and begin empty.
        lasting = "CONFIG REWRITE" if server.get("config_file") else "start it with --appendonly yes from then on"
        remedy = f"CONFIG SET appendonly yes there; once INFO says aof_rewrite_in_progress:0, {lasting}."
        yield Finding(WHAT, "warn", "no AOF: a crash loses queued runs and records", remedy)
    for name, tasks in paused.items():
        yield from _pauses(name, tasks)


def _place(url: SecretStr) -> tuple[str, str, int]:
    """Which server that is, whatever its database and user."""
    told: dict[str, Any] = dict(parse_url(url.get_secret_value()))  # type: ignore[no-untyped-call]
    return told.get("path", ""), told.get("host", "localhost"), told.get("port", 6379)


def _pauses(target: str, paused: dict[str, str]) -> Findings:
    for task, why in sorted(paused.items()):
        told = "everything" if task == "*" else task.removeprefix("tasks.")
        remedy = f"redkeep resume {target}{'' if task == '*' else f' {told}'}"
        yield Finding(f"{target}: schedule", "warn", f"{told} is paused, {why}", remedy)

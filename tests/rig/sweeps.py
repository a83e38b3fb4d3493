"""One sweep of tidy over a real server, with rules as the settings have them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rig.redis_servers import RedisServer
from tasks.pace import Pace
from tasks.server import Server
from tasks.settings.rules import Rule as Written
from tasks.settings.rules import Tidy
from tasks.tidy.policy import Policy, compile_policy
from tasks.tidy.safety import time_of
from tasks.tidy.sweep import Sweep

__all__ = ["HOUR", "figures", "left", "policy", "swept"]

HOUR = 3600


def policy(*rules: dict[str, Any], protect: tuple[str, ...] = ()) -> Policy:
    named = ({"name": f"rule {number}", "action": "delete"} | rule for number, rule in enumerate(rules, 1))
    return compile_policy(Tidy(rule=[Written.model_validate(each) for each in named], protect=list(protect)), "redkeep")


def swept(
    server: RedisServer,
    rules: Policy,
    *,
    checkpoint: Callable[[], None] = lambda: None,
    must_end: Callable[[], bool] = lambda: False,
    seconds: float = 60.0,
    url: str = "",
    **given: Any,
) -> Sweep:
    """One sweep from its beginning or `place` until it ends."""
    with Server(url or server.url) as ours, Server(url or server.url) as beside:
        ours.touchless()
        until = time.monotonic() + seconds
        pace = Pace(beside, max_latency=5.0, until=until, checkpoint=checkpoint, must_end=must_end)
        facts: dict[str, Any] = {"dry_run": False, "most": 1e9, "report": lambda _: None}
        sweep = Sweep(ours, pace, rules, time_of(ours), **facts | given)
        sweep.run()
        return sweep


def figures(sweep: Sweep) -> dict[str, dict[str, Any]]:
    return {name: tally.figures(dry_run=sweep.dry_run) for name, tally in sweep.tallies.items()}


def left(server: RedisServer, database: int = 0) -> set[bytes]:
    return set(server.client(db=database).keys())

"""What must be true before a single key goes."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from tasks import catalog, sample
from tasks.errors import (
    BackupUnknown,
    ClockMovedBack,
    NoRecentBackup,
    ServerIsReplica,
    ShareExceeded,
    TidyUnfit,
)
from tasks.estimate import Estimate
from tasks.facts import KeyFacts
from tasks.manifest import ServerFacts
from tasks.server import Checkpoint, Server
from tasks.store import Store
from tasks.tidy.policy import Policy, choose, said

__all__ = ["check_backup", "check_clock", "check_server", "check_share", "estimate", "time_of"]

DRAWS = 2000
"""Keys of the sample: a share of a quarter is then known to 2 points in 95 of 100 cases."""
SLACK = 60.0
"""Seconds by which clocks of different machines may differ without meaning anything."""


def check_server(server: Server, facts: ServerFacts, policy: Policy) -> str:
    """
    Returns:
        What the run's reader should know of this server, or nothing.

    Raises:
        ServerIsReplica: what is removed there comes back, or makes it differ from its primary.
        TidyUnfit: a cluster's node, or it does not keep what a rule asks for.
    """
    if facts.role != "master":
        raise ServerIsReplica(f"{server.shown} is a replica", hint="Point the target at the primary: tidy writes.")
    if facts.mode == "cluster":
        raise TidyUnfit(f"{server.shown} is a node of a cluster", hint="redkeep tidies single servers only, as yet.")
    lfu = "lfu" in server.info("memory")["maxmemory_policy"]
    for rule in policy.rules:
        if (rule.idle is not None and lfu) or (rule.freq is not None and not lfu):
            kept, wanted = ("freq", "idle") if lfu else ("idle", "freq")
            raise TidyUnfit(
                f"rule {rule.name!r} asks for {wanted}, and {server.shown} keeps {kept} only",
                detail="maxmemory-policy " + server.info("memory")["maxmemory_policy"],
            )
    return _check_idle(server, policy)


def _check_idle(server: Server, policy: Policy) -> str:
    idle = [rule for rule in policy.rules if rule.idle is not None]
    if not idle:
        return ""
    counting = [rule.name for rule in idle if rule.elements is not None and rule.action.kind == "delete"]
    if not server.touchless() and counting:
        raise TidyUnfit(
            f"rule {counting[0]!r} asks for idle and elements",
            detail="before 7.2 counting a key's elements makes it young",
        )
    uptime, asked = int(server.info("server")["uptime_in_seconds"]), min(rule.idle or 0 for rule in idle)
    if uptime < asked:
        return f"the server runs for {said(uptime)}, and most idle times begin anew with its start"
    return ""


def time_of(server: Server) -> float:
    """Seconds since 1970 by the server's clock."""
    seconds, micro = server.ask("TIME")
    return int(seconds) + int(micro) / 1e6


def check_clock(now: float, last: float) -> None:
    """
    Args:
        now, last: by the server's clock, at this run and the last one.

    Raises:
        ClockMovedBack: keys that were used in between would look idle for months.
    """
    if now < last - SLACK:
        at, before = (datetime.fromtimestamp(each, UTC).isoformat(" ", "seconds") for each in (now, last))
        raise ClockMovedBack(f"the server says it is {at}, and at the last run it was {before}")


def check_backup(store: Store, target: str, within: float) -> None:
    """
    Raises:
        NoRecentBackup: there is none, or none so young.
        StoreUnreachable and its like: nobody can tell.
    """
    try:
        manifest = catalog.find(store, target, "latest")
    except BackupUnknown:
        raise NoRecentBackup(f"there is no backup of {target}") from None
    taken = datetime.fromisoformat(manifest.created).timestamp() - manifest.source.seconds
    if (age := time.time() - taken) > within:
        raise NoRecentBackup(f"the newest backup of {target} is {said(age)} old", detail=f"wanted: {said(within)}")


def estimate(server: Server, policy: Policy, now: float, checkpoint: Checkpoint) -> tuple[int, Estimate]:
    """How many keys there are, and which share of them the rules would remove, by a random sample."""
    needs = {need for rule in policy.rules if rule.action.removes for need in rule.needs}
    taken = sample.take(server, DRAWS, needs, checkpoint=checkpoint)

    def goes(facts: KeyFacts) -> bool:
        rule = choose(facts, policy, now)
        return rule is not None and rule.action.removes

    return taken.population, taken.share(goes)


def check_share(share: Estimate, population: int, most: float) -> None:
    """
    Raises:
        ShareExceeded: more than that share of the keys would go.
    """
    if share.value > most:
        keys = share.times(population).rounded()
        between = f"{keys['low']:,} to {keys['high']:,} of {population:,} keys"
        asked = min(-(-share.high * 100 // 1) / 100, 1.0)
        raise ShareExceeded(
            f"about {share.value:.1%} of the keys would go, and max_share is {most:.1%}",
            detail=between,
            hint=f"See with --dry-run which rule takes so much; if it is right, say --force-share {asked:g}.",
        )

"""How a server keeps its data: set as it is wanted, and whether its last writes went well."""

from __future__ import annotations

from tasks.check.finding import Finding, Findings
from tasks.enforce import disagreements
from tasks.errors import ServerDenied
from tasks.server import Server
from tasks.settings import Target

__all__ = ["persistence"]


def persistence(asked: Server, target: Target) -> Findings:
    what = f"{target.name}: persistence"
    yield from _as_wanted(asked, target, what)
    state = asked.info("persistence")
    for field, failed in (("rdb_last_bgsave_status", "save"), ("aof_last_bgrewrite_status", "AOF rewrite")):
        if state.get(field, "ok") != "ok":
            remedy = "Read the server's log: most often its disk is full or its memory too short for a fork."
            yield Finding(what, "warn", f"its last {failed} failed", remedy)
    if state.get("aof_last_write_status", "ok") != "ok":
        yield Finding(what, "fail", "its last write to the AOF failed", "Make room on its disk now: it refuses writes.")


def _as_wanted(asked: Server, target: Target, what: str) -> Findings:
    """What `enforce` would say, a row each."""
    try:
        differing = disagreements(asked, target)
    except ServerDenied:  # which the rights' rows tell of, where a task needs it
        return
    for each in differing:
        if target.persistence.enforce == "apply":
            remedy = f"redkeep run enforce {target.name}"
        else:
            remedy = (
                f"`redkeep run enforce {target.name}` shows the steps that lose nothing; "
                'with [target.persistence] enforce = "apply" it takes them.'
            )
        yield Finding(what, "warn", each, remedy)
    if not differing:
        yield Finding(what, "ok", "as [target.persistence] wants it")

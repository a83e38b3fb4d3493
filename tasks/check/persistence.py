"""How a server keeps its data: an AOF, no save points, and whether its last writes went well."""

from __future__ import annotations

from tasks.check.finding import Finding, Findings
from tasks.errors import ServerDenied
from tasks.server import Server
from tasks.settings import Target

__all__ = ["persistence"]


def persistence(asked: Server, target: Target) -> Findings:
    what = f"{target.name}: persistence"
    state = asked.info("persistence")
    if state.get("aof_enabled") == "1":
        yield Finding(what, "ok", "AOF is on")
    else:
        remedy = "Let redkeep switch it on in the order that loses nothing: [target.persistence] enforce = \"apply\"."
        yield Finding(what, "warn", "no AOF: a crash loses what came after the last save", remedy)
    for field, what_failed in (("rdb_last_bgsave_status", "save"), ("aof_last_bgrewrite_status", "AOF rewrite")):
        if state.get(field, "ok") != "ok":
            remedy = "Read the server's log: most often its disk is full or its memory too short for a fork."
            yield Finding(what, "warn", f"its last {what_failed} failed", remedy)
    if state.get("aof_last_write_status", "ok") != "ok":
        yield Finding(what, "fail", "its last write to the AOF failed", "Make room on its disk now: it refuses writes.")
    try:
        points = asked.config("save").get("save")
    except ServerDenied:  # a right that streaming does not need
        return
    if points:
        remedy = "CONFIG SET save \"\", once AOF is on: the backup saves explicitly."
        yield Finding(what, "warn", f"it also saves by itself, beside the backup (save {points})", remedy)

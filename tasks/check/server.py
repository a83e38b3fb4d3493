"""The server under care: what it is, and on the same connection how it keeps its data and what its user may do."""

from __future__ import annotations

from tasks import names
from tasks.check.clock import apart, clock, server_time
from tasks.check.finding import Finding, Findings, safely
from tasks.check.host import host
from tasks.check.persistence import persistence
from tasks.check.rights import may_tell, rights
from tasks.errors import ServerDenied
from tasks.server import Server
from tasks.settings import Target

__all__ = ["server"]

TIMEOUT = 5.0
"""Seconds for a connection or an answer."""


def server(target: Target) -> Findings:
    """Version and role, rights, persistence; where it does not even tell what it is, only the rights."""
    what = f"{target.name}: server"
    with Server(target.url.get_secret_value(), timeout=TIMEOUT) as asked:
        if may_tell(asked):
            yield from safely(what, lambda: _facts(asked, target))
            yield from safely(f"{target.name}: persistence", lambda: persistence(asked, target))
            yield from safely(f"{target.name}: guard", lambda: host(asked, target))
        yield from rights(asked, target)


def _facts(asked: Server, target: Target) -> Findings:
    what = f"{target.name}: server"
    facts = asked.facts()
    there = server_time(asked.info("server"))
    ahead = apart(there) if there else 0.0
    yield from _left_by_a_restore(asked, what)
    asked.check_role(accept_replica=target.backup.replica == "accept")
    yield Finding(what, "ok", f"{facts.name} {facts.version} at {asked.shown}, {facts.role}")
    yield from clock(what, "its", ahead)


def _left_by_a_restore(asked: Server, what: str) -> Findings:
    """A restore that was killed could not give the server back what it had borrowed."""
    try:
        lent = asked.config("masterauth").get("masterauth", "")
    except ServerDenied:  # then no restore could have borrowed it either
        return
    if not lent.startswith(names.RESTORE_MARK):
        return
    told = "a restore into it was killed: it is left as a read-only replica of nobody, or with borrowed settings"
    remedy = "REPLICAOF NO ONE there, then CONFIG SET masterauth, masteruser and repl-diskless-load to what they were."
    yield Finding(what, "fail", told, remedy)

"""Whether this host could drill: a redis-server that reads what the target writes."""

from __future__ import annotations

from tasks.check.finding import Finding, Findings
from tasks.checker import checkers
from tasks.errors import RedkeepError
from tasks.restore.reader import reader_named
from tasks.server import Server
from tasks.settings import Settings, Target

__all__ = ["drills"]


def drills(settings: Settings, target: Target) -> Findings:
    """Only where there is a private key to drill with: anywhere else nobody would."""
    if not settings.encryption.identity_files and settings.encryption.recipient_keys:
        return
    what = f"{target.name}: drill"
    try:
        with Server(target.url.get_secret_value(), timeout=5.0) as asked:
            facts = asked.facts()
    except RedkeepError:  # which has a row of its own
        return
    written = reader_named(f"{facts.name}-{facts.version}")
    named = target.drill.redis_server if target.drill else None
    found = [each for each in checkers(named) if named is None or each.path == named]
    if not found:
        remedy = f"Install a {written.told} here, or name one: [target.drill] redis_server."
        yield Finding(what, "fail", "no redis-server to drill with is on this host", remedy)
        return
    readers = [reader_named(f"{each.vendor}-{each.version}") for each in found]
    fitting = [each for each in readers if written.newest is None or each.loads(written.newest)]
    if fitting:
        yield Finding(what, "ok", f"{fitting[0].told} on this host reads what {written.told} writes")
    else:
        told = f"{readers[0].told} on this host cannot read what {written.told} writes (RDB version {written.newest})"
        yield Finding(what, "fail", told, f"Name one as new as {written.told}: [target.drill] redis_server.")

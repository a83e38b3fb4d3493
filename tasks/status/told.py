"""A context as JSON: what ``/redkeep/api/`` answers and ``redkeep status --json`` prints (docs/dashboard.md)."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from tasks.alarms import Standing
from tasks.inventory import Backup, Proof, Stock
from tasks.records import Record
from tasks.status.picture import Context, TargetStatus

__all__ = ["as_json", "moment", "run_as_json", "target_as_json"]

MOMENTS = ("created", "started", "ended")


def as_json(context: Context) -> dict[str, Any]:
    """Times are RFC 3339 in UTC, sizes bytes, `seconds` seconds; null for what is not known."""
    return {
        "at": moment(context.at),
        "version": context.version,
        "state": context.state,
        "problem": context.problem,
        "known": moment(context.known),
        "targets": [target_as_json(each) for each in context.targets],
        "runs": [run_as_json(each) for each in context.runs.rows],
        "older": context.runs.older or None,
    }


def run_as_json(run: Record) -> dict[str, Any]:
    """As ``redkeep run --json`` tells it, with who and when."""
    return (
        run.result()
        | {name: moment(run.moment(name)) for name in MOMENTS}
        | {"by": run.get("by"), "host": run.get("host"), "progress": run.get("progress") or {}}
        | {"warnings": run.get("warnings") or [], "unreadable": list(run.unreadable)}
    )


def target_as_json(target: TargetStatus) -> dict[str, Any]:
    return {
        "name": target.name,
        "configured": target.configured,
        "url": target.url,
        "state": target.freshness.state,
        "words": target.freshness.words,
        "reasons": list(target.freshness.reasons),
        "max_age": target.max_age,
        "backups": _stock(target.stock),
        "running": [run_as_json(each) for each in target.running],
        "latest": {task: run_as_json(each) for task, each in target.latest.items()},
        "done": {task: each.get("figures", {}) for task, each in target.done.items()},
        "lease": target.lease or None,
        "host_lease": target.host_lease or None,
        "paused": dict(target.paused),
        "alarms": [_alarm(each) for each in target.alarms],
        "due": {task: moment(due) for task, due in target.due.items()},
    }


def _alarm(alarm: Standing) -> dict[str, Any]:
    moments = {name: getattr(alarm, name) for name in ("since", "told")}
    told = {name: moment(at and datetime.fromtimestamp(at, UTC)) for name, at in moments.items()}
    return {"kind": alarm.kind, "words": alarm.words, "hint": alarm.hint} | told


def _stock(stock: Stock) -> dict[str, Any]:
    return {
        "count": stock.count,
        "seen": moment(stock.seen),
        "problem": stock.problem,
        "newest": _backup(stock.newest),
        "verified": _proof(stock.verified),
        "drilled": _proof(stock.drilled),
        "unreadable": [each.id for each in stock.backups if each.problem],
    }


def _backup(backup: Backup | None) -> dict[str, Any] | None:
    if backup is None:
        return None
    proofs = {"verified": _proof(backup.verified), "drilled": _proof(backup.drilled)}
    return asdict(backup) | {"taken": moment(backup.taken)} | proofs


def _proof(proof: Proof | None) -> dict[str, Any] | None:
    return None if proof is None else asdict(proof) | {"at": moment(proof.at)}


def moment(when: datetime | None) -> str | None:
    """A moment as the JSON has it: RFC 3339, UTC."""
    return None if when is None else when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")

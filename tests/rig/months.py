"""An installation that has been at work for a month: manifests, verdicts and records as real runs leave them.

    for target in settings.target: lived_in(settings, target.name, now)
"""

from __future__ import annotations

import json
import math
import random
import uuid
from datetime import datetime, timedelta
from typing import Any

from rig.shelves import put_backup
from tasks import names
from tasks.control import connect
from tasks.errors import ServerSaving
from tasks.manifest import ObjectFacts, PlaintextFacts, SourceFacts
from tasks.names import Keys
from tasks.records import Records
from tasks.settings import Settings
from tasks.store import Store, open_store
from tasks.verdicts import Statement, pronounce

__all__ = ["lived_in", "recorded"]

GIB = 2**30


def lived_in(
    settings: Settings, target: str, now: datetime, *, gib: float = 1.1, newest: timedelta = timedelta(minutes=24)
) -> None:
    """A month of backups of that target, the last one so long ago, and the runs of two days."""
    store, dice = open_store(**settings.store.arguments()), random.Random(target)
    last = now - newest
    hours = [*range(0, 48, 3), *range(48, 24 * 30, 24)]
    ids = [_backup(store, target, last - timedelta(hours=each), each, gib, dice) for each in hours]
    _proofs(store, target, ids, now, gib)
    _runs(settings, target, last, gib, dice)


def _backup(store: Store, target: str, at: datetime, hours: int, gib: float, dice: random.Random) -> str:
    day = math.sin(at.hour / 24 * math.tau)
    size = int(gib * GIB * (1 - hours / 24 / 30 * 0.09 + day * 0.003 + dice.uniform(-0.004, 0.004)))
    seconds = round(size / GIB * 7.4 * dice.uniform(0.94, 1.1), 2)
    keys = int(size / 1130)
    manifest = put_backup(
        store,
        at.replace(microsecond=0),
        target=target,
        source=SourceFacts(
            kind="follow",
            exact=True,
            fork_usec=int(size / GIB * 26_000 * dice.uniform(0.85, 1.35)),
            cow_bytes=int(size * 0.04 * (1.4 + day) * dice.uniform(0.7, 1.3)),
            seconds=seconds,
        ),
        plaintext=PlaintextFacts(
            bytes=size, sha256="00", rdb_version=11, crc64="00", keys={"0": keys}, expires={"0": keys // 3}
        ),
        object=ObjectFacts(
            key=names.snapshot_key(target, names.stamp(at), "00", ("zstd:1", "age")),
            bytes=int(size * 0.53),
            sha256="00",
            etag="e",
            parts=4,
        ),
    )
    return manifest.id


def _proofs(store: Store, target: str, ids: list[str], now: datetime, gib: float) -> None:
    for kind, hours, figures in (
        ("verified", 4.2, {"seconds": round(3.1 * gib, 2)}),
        ("drilled", 3.7, {"recovery_seconds": round(7.6 * gib, 2)}),
    ):
        at = (now - timedelta(hours=hours)).isoformat(timespec="microseconds").replace("+00:00", "Z")
        said = Statement(at=at, host="db1", run="r", by="beat", ok=True, figures=figures)
        pronounce(store, target, ids[4], kind, said)  # type: ignore[arg-type]


def _runs(settings: Settings, target: str, last: datetime, gib: float, dice: random.Random) -> None:
    for hours in range(24, -1, -1):
        at = last - timedelta(hours=hours)
        took = 7.9 * gib * dice.uniform(0.95, 1.1)
        size = int(gib * GIB)
        backup = {"backup": names.stamp(at), "source": "follow", "bytes": size, "stored_bytes": int(size * 0.53)}
        backup |= {"ratio": 1.89, "keys": size // 1130, "fork_usec": int(27_000 * gib), "cow_bytes": size // 20}
        phases = {"wait": 0.01, "fork": 0.12, "ship": round(took, 2), "commit": 0.08}
        error = None
        if hours == 9:
            error = ServerSaving("the server is busy with an AOF rewrite").as_dict()
        recorded(settings, target, "tasks.backup", at, took, figures=backup, phases=phases, error=error)
        retained = {"dry_run": False, "to_keep": 104, "to_remove": 1, "removed": 1, "leftovers": 0, "decisions": []}
        if error is None:
            recorded(settings, target, "tasks.retention", at + timedelta(seconds=20), 0.6, figures=retained)
    recovery = {"recovery_seconds": round(7.6 * gib, 2), "fetch_seconds": 3.4 * gib, "load_seconds": 4.2 * gib}
    rewritten = {"bytes_before": int(size * 1.7), "bytes_after": int(gib * GIB), "proof": "a new base file"}
    recorded(settings, target, "tasks.rewrite", last - timedelta(hours=5), 6.1 * gib, figures=rewritten)
    recorded(settings, target, "tasks.verify", last - timedelta(hours=4), 3.1 * gib, figures={"structure": "sound"})
    recorded(settings, target, "tasks.drill", last - timedelta(hours=3.4), 9.2 * gib, figures=recovery)


def recorded(
    settings: Settings,
    target: str,
    task: str,
    at: datetime,
    took: float,
    *,
    figures: dict[str, Any] | None = None,
    phases: dict[str, float] | None = None,
    error: dict[str, Any] | None = None,
    state: str = "",
    by: str = "beat",
) -> str:
    """A run that ended, sent at that moment. Its id."""
    client, run_id = connect(settings.control), str(uuid.uuid4())
    keys, records = Keys(settings.control.namespace), Records(client, settings.control)
    records.queue(run_id, task=task, target=target, by=by)
    records.begin(run_id, "n", host="db1")
    records.leave(run_id, "n", state or ("failed" if error else "succeeded"), {
        "phases": phases or {}, "figures": figures or {}, "error": error, "warnings": [], "fence": 1795593600000000,
    })
    sent = at.timestamp()
    times = {"created": sent, "started": sent + 0.4, "ended": sent + 0.4 + took}
    client.hset(keys.run(run_id), mapping={name: json.dumps(value) for name, value in times.items()})
    client.zadd(keys.runs(target, task), {run_id: sent})
    client.zadd(keys.indexes(), {keys.runs(target, task): sent})
    client.close()
    return run_id

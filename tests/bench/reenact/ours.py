"""redkeep's way: AOF on and save points off by `enforce`, then backups, tidies and rewrites by its own schedule."""

from __future__ import annotations

import json
import os
from collections import Counter
from contextlib import suppress
from datetime import datetime
from typing import Any

from tasks.beginning import begin as write_settings
from tasks.demo.machine import BUCKET
from tasks.records import FINAL
from tests.bench.bed import redkeep
from tests.bench.reenact.stage import Stage
from tests.bench.reenact.watching import Backup

__all__ = ["OBJECTIVE", "begin", "shipped", "told"]

OBJECTIVE = 120
"""Seconds: `max_age`, twice the time between two backups, as it is by default."""
SETTINGS = {
    "backup": f'schedule = "* * * * *"\nmax_age = "{OBJECTIVE}s"\n',
    "guard": 'min_free_memory = "64MiB"\n',
    "rewrite": 'schedule = "*/3 * * * *"\n',
    "tidy": 'schedule = "* * * * *"\n',
}
"""What is not left as `redkeep init` writes it, by table of the target: an hour takes a minute, and a night three."""
PROCESSES = {
    "backup": ("worker", "backup"),
    "others": ("worker", "rewrite", "tidy", "housekeeping"),
    "beat": ("beat",),
}
"""On the server's machine, and so within the bound."""
RULE = """\
[[target.tidy.rule]]
name = "uploads that nobody asked for in an hour"
match = "upload:*"
idle = "60s"
action = "delete"
"""


def begin(stage: Stage) -> None:
    """Bring the server into the wanted state, and start workers and a beat on its machine; what Celery needs is
    elsewhere, as the S3 server is."""
    control = stage.machine.redis("control")
    files = write_settings(
        stage.machine.folder / "conf",
        control=f"redis://127.0.0.1:{control}/0",
        store=f"s3://{BUCKET}/redis",
        server=stage.url,
        data_dir=str(stage.folder),
        endpoint_url=stage.endpoint,
        region="us-east-1",
    )
    text = files.settings.read_text().replace('enforce = "report"', 'enforce = "apply"')
    for table, lines in SETTINGS.items():
        header = f"[target.{table}]\n"
        text = text.replace(header, header + lines, 1) if f"\n{header}" in text else text + f"\n{header}{lines}"
    files.settings.write_text(text + RULE)
    os.environ["REDKEEP_CONFIG"] = str(files.settings)
    enforced = redkeep("run", "enforce", "main", "--inline", "--json")
    if enforced["outcome"] != "succeeded":
        raise SystemExit(f"enforce {enforced['outcome']}: {enforced['error']}")
    for name, arguments in PROCESSES.items():
        stage.machine.redkeep(name, *arguments)
        stage.bound.take(stage.machine.pid(name))


def shipped(stage: Stage) -> list[Backup]:
    """What it has in the store, oldest first."""
    backups = []
    for path in (stage.bucket / "redis" / "main" / "manifests").glob("*.json"):
        with suppress(FileNotFoundError, json.JSONDecodeError):  # retention takes it just now, or it is being written
            manifest = json.loads(path.read_text())
            committed = datetime.fromisoformat(manifest["created"]).timestamp()
            backups.append(Backup(committed - manifest["source"]["seconds"], manifest["object"]["bytes"]))
    return sorted(backups)


def told() -> str:
    """What its own history says of its runs: how each task ended, how often, and why where that was not well."""
    ends = Counter(
        f"{run['task'].removeprefix('tasks.')} {run['outcome']}{_why(run)}"
        for run in redkeep("history", "main", "--limit", "10000", "--json")
        if run["outcome"] in FINAL
    )
    return "; ".join(f"{count} {end}" for end, count in sorted(ends.items(), key=lambda each: each[0]))


def _why(run: dict[str, Any]) -> str:
    return f" ({run['error']['message']})" if run.get("error") else ""

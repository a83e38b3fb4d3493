"""The steps of the demo's story, in its order. Each does what a user would, looks whether it came out, and says so."""

from __future__ import annotations

import shutil
import subprocess
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis

from tasks.demo.machine import BUCKET
from tasks.demo.place import TARGET, Place, Say, flower, redkeep
from tasks.errors import DemoFailed
from tasks.outcome import figures_told
from tasks.records import Record
from tasks.words import seconds, size

__all__ = ["brought_back", "drilled", "scheduled", "seen_in_flower", "smaller", "tidied"]

SLOT_WAIT = 90.0
"""Seconds for the schedule to fire and its backup to end; a catch-up fires at once, a minute's tick within 60."""

Run = dict[str, Any]
"""A run's record as `--json` prints it."""


def scheduled(place: Place, say: Say) -> Run:
    """Beat finds that a minute was missed, as after an outage, and sends it at once."""
    schedule = place.machine.folder / "beat-schedule"
    _pretend_beat_was_away(schedule)
    began = time.monotonic()
    place.machine.redkeep("beat", "beat", "--schedule", str(schedule))
    found: list[Run] = []

    def fired() -> bool:
        runs = redkeep("history", TARGET, "--task", "backup", "--outcome", "succeeded", "--json")
        found[:] = [run for run in runs if run["slot"]]
        return bool(found)

    place.machine.wait_for("beat", fired, SLOT_WAIT)
    first = found[-1]
    plain, stored = size(first["figures"]["bytes"]), size(first["figures"]["stored_bytes"])
    say(
        "beat's schedule fired a backup",
        f"slot {first['slot']}: {plain} by {first['figures']['source']}, {stored} stored, "
        f"{seconds(time.monotonic() - began)} after beat started",
    )
    return first


def _pretend_beat_was_away(schedule: Path) -> None:
    from celery.beat import PersistentScheduler  # with the demo's settings in place

    from tasks.celery import app

    scheduler = PersistentScheduler(app, schedule_filename=str(schedule))
    for entry in scheduler.schedule.values():
        entry.last_run_at = app.now() - timedelta(minutes=2)
    scheduler.sync()
    scheduler.close()


def tidied(say: Say) -> Run:
    """By the rules of the settings, each key copied to the store before it goes. Where the minute's backup is due
    meanwhile, tidy gives way to it, and is called again. Gives the last run."""
    runs = [_run("tidy", "--no-dry-run")]
    while runs[-1]["figures"]["ended"] != "through":
        runs.append(_run("tidy", "--no-dry-run"))
    rules = [rule for run in runs for rule in run["figures"]["rules"]]
    if not any(rule.get("removed") or rule.get("trimmed") for rule in rules):
        raise DemoFailed("tidy found nothing to do", detail=str(rules))
    say("tidy removed by its rules what nobody needs", "\n".join(_lines(run) for run in runs))
    return runs[-1]


def smaller(say: Say, before: Run) -> Run:
    """A backup started by hand, and how much smaller it is than the one before tidy."""
    began = time.monotonic()
    run = _run("backup")
    was, now = ((each["figures"]["bytes"], each["figures"]["stored_bytes"]) for each in (before, run))
    if now[0] >= was[0]:
        raise DemoFailed("the backup after tidy is no smaller", detail=f"{was[0]} bytes before, {now[0]} after")
    say(
        f"the next backup, started by hand, is {1 - now[0] / was[0]:.0%} smaller",
        f"redkeep run backup {TARGET}: {size(now[0])} instead of {size(was[0])}, "
        f"{size(now[1])} stored instead of {size(was[1])}, {seconds(time.monotonic() - began)}",
    )
    return run


def drilled(say: Say) -> Run:
    """The newest backup, into a server that is thrown away."""
    run = _run("drill")
    say("a drill proved that it comes back", _lines(run))
    return run


def _run(task: str, *options: str) -> Run:
    run: Run = redkeep("run", task, TARGET, "--json", *options)
    if run["outcome"] != "succeeded":
        raise DemoFailed(f"the {task} by hand {run['outcome']}", detail=str(run["error"]))
    return run


def _lines(run: Run) -> str:
    """What `redkeep run` prints below `succeeded`."""
    return "\n".join(figures_told(Record(run["id"], run["outcome"], run)))


def seen_in_flower(place: Place, say: Say, runs: list[Run]) -> None:
    """Flower knows each run, and redkeep's page there says that the data is safe."""
    tasks: dict[str, Any] = {}

    def all_known() -> bool:
        tasks.update(flower(place, "/api/tasks"))
        return all(tasks.get(run["id"], {}).get("state") == "SUCCESS" for run in runs)

    place.machine.wait_for("flower", all_known)
    say("Flower shows them all", ", ".join(f"{tasks[run['id']]['name']} {tasks[run['id']]['state']}" for run in runs))
    page: dict[str, Any] = {}

    def safe() -> bool:
        page.update(flower(place, "/redkeep/api/status")["targets"][0])
        return bool(page["state"] == "fresh")

    place.machine.wait_for("flower", safe)
    say("and on redkeep's page there the data is safe", f"{place.flower}/redkeep: {page['words']}")


def brought_back(place: Place, say: Say, run: Run) -> None:
    """Fetch it, load it into a third Redis, and count."""
    folder = place.machine.folder / "third"
    folder.mkdir()
    backup = run["figures"]["backup"]
    redkeep("fetch", backup, TARGET, "-o", str(folder / "dump.rdb"), as_json=False)
    # A replica of nowhere keeps what has expired meanwhile, so the counts are exact.
    third = redis.Redis(port=place.machine.redis("third", "--appendonly", "no", "--replicaof", "127.0.0.1", "1"))
    (manifest,) = [each for each in redkeep("backups", TARGET, "--json") if each["id"] == backup]
    wanted = manifest["plaintext"]["keys"]
    keyspace: dict[str, Any] = dict(third.info("keyspace"))
    found = {name.removeprefix("db"): facts["keys"] for name, facts in keyspace.items()}
    if found != wanted:
        raise DemoFailed(f"the third Redis has {found} keys, the manifest says {wanted}")
    counts = ", ".join(f"db{database} {count:,}" for database, count in sorted(found.items()))
    say("fetched and loaded into a third Redis", f"every key is there: {counts}")
    stored = place.machine.folder / "s3" / BUCKET / "redis" / manifest["object"]["key"]
    _with_stock_tools(place, say, stored, manifest["plaintext"]["sha256"])


def _with_stock_tools(place: Place, say: Say, stored: Path, sha256: str) -> None:
    command = f"age -d -i {place.files.identity} < {stored} | zstd -d > dump.rdb"
    if shutil.which("age") and shutil.which("zstd"):
        told = subprocess.run(
            ["sh", "-c", 'age -d -i "$1" < "$2" | zstd -dq | sha256sum', "sh", place.files.identity, stored],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        if not told.startswith(sha256):
            raise DemoFailed("stock age and zstd gave another file")
        say("without redkeep, by stock tools", f"{command}\n(done: sha256 {sha256[:16]}... is the manifest's)")
    else:
        say("without redkeep, by stock tools", f"{command}\n(age and zstd are not both installed here)")

"""Everything at once on this machine: a Redis with a site's data, an S3 server, worker, beat, Flower.

The story it tells: beat's schedule fires a backup, another is started by hand, Flower knows both, the file comes back
into a third Redis with every key, and tidy makes the next one smaller.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import redis

from tasks.beginning import Beginning, begin
from tasks.demo.lifelike import fill
from tasks.demo.machine import BUCKET, REDKEEP, Machine, free_port
from tasks.demo.tidied import RULES, tidied
from tasks.errors import DemoFailed

__all__ = ["demo"]

MEGABYTES = 200
TARGET = "main"
SLOT_WAIT = 90.0
"""Seconds for the schedule to fire and its backup to end; a catch-up fires at once, a minute's tick within 60."""

Say = Callable[[str, str], None]
"""Told a step's title, and what came of it."""


@dataclass
class Place:
    """Where everything of this demo is."""

    machine: Machine
    site: int
    endpoint: str
    files: Beginning
    flower: str
    login: str


def demo(say: Say, *, stay: bool, megabytes: int = MEGABYTES) -> None:
    """Run the whole story, and clean up.

    Raises:
        DemoFailed: a step did not do what it should.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with _folder() as folder, Machine(folder) as machine:
        place = _built(machine, say, megabytes)
        scheduled = _scheduled(place, say)
        by_hand = _by_hand(place, say)
        _seen_in_flower(place, say, {scheduled["id"], by_hand["id"]})
        _brought_back(place, say, by_hand)
        _tidied(place, say, by_hand)
        if stay:
            _stay(place, say)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="redkeep-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


# -- building --------------------------------------------------------------------------------------------


def _built(machine: Machine, say: Say, megabytes: int) -> Place:
    site = machine.redis("site", "--appendonly", "yes")
    began = time.monotonic()
    client = redis.Redis(port=site)
    counts = fill(client, megabytes)
    used = int(client.info("memory")["used_memory"])
    took = time.monotonic() - began
    say("a Redis with a site's data", f"{sum(counts.values()):,} keys, {used / 2**20:.0f} MiB, in {took:.1f} s")

    control = machine.redis("control", "--appendonly", "yes")
    endpoint, credentials = machine.s3()
    os.environ |= credentials
    files = begin(
        machine.folder / "conf",
        control=f"redis://127.0.0.1:{control}/0",
        store=f"s3://{BUCKET}/redis",
        server=f"redis://127.0.0.1:{site}",
        data_dir=str(machine.folder / "site"),
        endpoint_url=endpoint,
        region="us-east-1",
    )
    _settle(files)
    os.environ["REDKEEP_CONFIG"] = str(files.settings)
    say("a control Redis and an S3 server", f"{endpoint}, bucket {BUCKET}")

    port, login = free_port(), f"demo:{secrets.token_urlsafe(9)}"
    os.environ["FLOWER_BASIC_AUTH"] = login
    machine.redkeep("flower", "flower", "--port", str(port))
    machine.redkeep("worker", "worker", "backup", "drill", "housekeeping", "rewrite", "tidy")
    place = Place(machine, site, endpoint, files, f"http://127.0.0.1:{port}", login)
    machine.wait_for("flower", lambda: "redkeep" not in _flower(place, "/api/workers?refresh=1"))
    machine.wait_for("worker", lambda: bool(_flower(place, "/api/workers?refresh=1")))
    say("a worker for every queue, and Flower", place.flower)
    return place


def _settle(files: Beginning) -> None:
    """Change what `redkeep init` wrote as a new user would: due every minute, and restores happen here."""
    text = files.settings.read_text()
    changes = {'# schedule = "7 * * * *" ': 'schedule = "* * * * *" ', "# identity_files =": "identity_files ="}
    for old, new in changes.items():
        if old not in text:
            raise DemoFailed(f"the settings have no line {old!r} to change")
        text = text.replace(old, new, 1)
    files.settings.write_text(text + RULES)


# -- the story -------------------------------------------------------------------------------------------


def _scheduled(place: Place, say: Say) -> dict[str, Any]:
    """Beat finds that a minute was missed, as after an outage, and sends it at once."""
    schedule = place.machine.folder / "beat-schedule"
    _pretend_beat_was_away(schedule)
    began = time.monotonic()
    place.machine.redkeep("beat", "beat", "--schedule", str(schedule))
    found: list[dict[str, Any]] = []

    def fired() -> bool:
        runs = _redkeep("history", TARGET, "--outcome", "succeeded", "--json")
        found[:] = [run for run in runs if run["slot"]]
        return bool(found)

    place.machine.wait_for("beat", fired, SLOT_WAIT)
    figures = found[-1]["figures"]
    say(
        "beat's schedule fired a backup",
        f"slot {found[-1]['slot']}, {_told(figures)}, {time.monotonic() - began:.1f} s after beat started",
    )
    return found[-1]


def _pretend_beat_was_away(schedule: Path) -> None:
    from celery.beat import PersistentScheduler  # with the demo's settings in place

    from tasks.celery import app

    scheduler = PersistentScheduler(app, schedule_filename=str(schedule))
    for entry in scheduler.schedule.values():
        entry.last_run_at = app.now() - timedelta(minutes=2)
    scheduler.sync()
    scheduler.close()


def _by_hand(place: Place, say: Say) -> dict[str, Any]:
    began = time.monotonic()
    run: dict[str, Any] = _redkeep("run", "backup", TARGET, "--json")
    if run["outcome"] != "succeeded":
        raise DemoFailed(f"the run by hand {run['outcome']}", detail=str(run["error"]))
    took = time.monotonic() - began
    say("another, started by hand", f"redkeep run backup {TARGET}: {_told(run['figures'])}, {took:.1f} s")
    return run


def _seen_in_flower(place: Place, say: Say, ids: set[str]) -> None:
    tasks: dict[str, Any] = {}

    def both() -> bool:
        tasks.update(_flower(place, "/api/tasks"))
        return all(tasks.get(each, {}).get("state") == "SUCCESS" for each in ids)

    place.machine.wait_for("flower", both)
    say("Flower shows both", ", ".join(f"{tasks[each]['name']} {tasks[each]['state']}" for each in sorted(ids)))
    page: dict[str, Any] = {}

    def safe() -> bool:
        page.update(_flower(place, "/redkeep/api/status")["targets"][0])
        return bool(page["state"] == "fresh")

    place.machine.wait_for("flower", safe)
    say("and on redkeep's page there the data is safe", f"{place.flower}/redkeep: {page['words']}")


def _brought_back(place: Place, say: Say, run: dict[str, Any]) -> None:
    """Fetch it, load it into a third Redis, and count."""
    folder = place.machine.folder / "third"
    folder.mkdir()
    backup = run["figures"]["backup"]
    _redkeep("fetch", backup, TARGET, "-o", str(folder / "dump.rdb"), as_json=False)
    # A replica of nowhere keeps what has expired meanwhile, so the counts are exact.
    third = redis.Redis(port=place.machine.redis("third", "--appendonly", "no", "--replicaof", "127.0.0.1", "1"))
    (manifest,) = [each for each in _redkeep("backups", TARGET, "--json") if each["id"] == backup]
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


def _tidied(place: Place, say: Say, before: dict[str, Any]) -> None:
    """Remove what the rules find, and back up what is left."""
    told = tidied(TARGET, _redkeep)
    after = _redkeep("run", "backup", TARGET, "--json")["figures"]
    if after["keys"] >= before["figures"]["keys"]:
        raise DemoFailed(f"after tidy there are {after['keys']} keys, and there were {before['figures']['keys']}")
    say("tidy made the next backup smaller", f"{told}\n{_told(before['figures'])}; now {_told(after)}")


def _stay(place: Place, say: Say) -> None:
    user, _, password = place.login.partition(":")
    names = ("REDKEEP_CONFIG", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    lines = [f"export {name}={os.environ[name]}" for name in names]
    say("it goes on until Ctrl-C", f"{place.flower}/redkeep  user {user}  password {password}")
    commands = [f"{_command()} {what}" for what in ("history", f"run backup {TARGET}", f"backups {TARGET}", "check")]
    say("in another terminal", "\n".join([*lines, *commands]))
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        say("ending", "all processes stop, the folder is removed")


# -- asking ----------------------------------------------------------------------------------------------


def _redkeep(*arguments: str, as_json: bool = True) -> Any:
    """What a command prints, as a user would call it."""
    done = subprocess.run([*REDKEEP, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoFailed(f"redkeep {' '.join(arguments)} exited {done.returncode}", detail=done.stderr[-800:])
    return json.loads(done.stdout) if as_json else done.stdout


def _flower(place: Place, path: str) -> dict[str, Any]:
    login = base64.b64encode(place.login.encode()).decode()
    request = urllib.request.Request(place.flower + path, headers={"Authorization": f"Basic {login}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def _command() -> str:
    """How a user calls us: by name where that is what PATH finds."""
    ours = Path(sysconfig.get_path("scripts")) / "redkeep"
    found = shutil.which("redkeep")
    return "redkeep" if found is None or ours.samefile(found) or not ours.exists() else str(ours)


def _told(figures: dict[str, Any]) -> str:
    plain, stored = figures["bytes"] / 2**20, figures["stored_bytes"] / 2**20
    return f"{plain:.0f} MiB by {figures['source']}, {stored:.0f} MiB stored"

"""Where the demo happens: a site's Redis, a control Redis, an S3 server, a worker, Flower; and how they are asked."""

from __future__ import annotations

import base64
import datetime
import json
import os
import secrets
import subprocess
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis

from tasks.beginning import Beginning, begin
from tasks.demo.lifelike import fill, fill_reports
from tasks.demo.machine import BUCKET, REDKEEP, Machine, free_port
from tasks.errors import DemoFailed

__all__ = ["TARGET", "Place", "Say", "build", "flower", "redkeep"]

TARGET = "main"
RULES = """
[target.drill]
redis_server = {server}

[target.tidy]
schedule = "off"                     # by hand, so that the story does not depend on the minute it is told in

[[target.tidy.rule]]
name = "old reports"
match = "report:*"
stamp = {{ regex = ':(\\d{{8}})$', format = "%Y%m%d", older_than = "90d" }}
action = "delete"
keep_copy = true

[[target.tidy.rule]]
name = "long feeds"
match = "feed:*"
type = "list"
action = {{ trim_to = 50 }}
keep_copy = true
"""

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


def build(machine: Machine, say: Say, megabytes: int) -> Place:
    """Start all of it; a quarter of the megabytes is what nobody needs any more."""
    site = machine.redis("site", "--appendonly", "yes")
    _fill(site, say, megabytes)
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
    _settle(files, str(machine.redis_server))
    os.environ["REDKEEP_CONFIG"] = str(files.settings)
    say("a control Redis and an S3 server", f"{endpoint}, bucket {BUCKET}")

    port, login = free_port(), f"demo:{secrets.token_urlsafe(9)}"
    os.environ["FLOWER_BASIC_AUTH"] = login
    machine.redkeep("flower", "flower", "--port", str(port))
    machine.redkeep("worker", "worker", "backup", "drill", "housekeeping", "rewrite", "tidy")
    place = Place(machine, site, endpoint, files, f"http://127.0.0.1:{port}", login)
    machine.wait_for("flower", lambda: "redkeep" not in flower(place, "/api/workers?refresh=1"))
    machine.wait_for("worker", lambda: bool(flower(place, "/api/workers?refresh=1")))
    say("a worker for every queue, and Flower", place.flower)
    return place


def _fill(site: int, say: Say, megabytes: int) -> None:
    began = time.monotonic()
    client, today, unneeded = redis.Redis(port=site), datetime.datetime.now(datetime.UTC).date(), megabytes // 4
    keys = sum(fill(client, megabytes - unneeded, last_day=today).values())
    reports = fill_reports(client, unneeded, last_day=today)
    used = int(client.info("memory")["used_memory"])
    client.close()
    took = time.monotonic() - began
    say(
        "a Redis with a site's data",
        f"{keys + reports:,} keys, {used / 2**20:.0f} MiB, in {took:.1f} s; {reports:,} of them are daily reports",
    )


def _settle(files: Beginning, server: str) -> None:
    """Change what `redkeep init` wrote as a new user would: due every minute, restores happen here, rules for tidy."""
    text = files.settings.read_text()
    changes = {'# schedule = "7 * * * *" ': 'schedule = "* * * * *" ', "# identity_files =": "identity_files ="}
    for old, new in changes.items():
        if old not in text:
            raise DemoFailed(f"the settings have no line {old!r} to change")
        text = text.replace(old, new, 1)
    files.settings.write_text(text + RULES.format(server=json.dumps(server)))


def redkeep(*arguments: str, as_json: bool = True) -> Any:
    """What a command prints, as a user would call it."""
    done = subprocess.run([*REDKEEP, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise DemoFailed(
            f"redkeep {' '.join(arguments)} exited {done.returncode}", detail=(done.stderr or done.stdout)[-800:]
        )
    return json.loads(done.stdout) if as_json else done.stdout


def flower(place: Place, path: str) -> dict[str, Any]:
    """What Flower answers there."""
    login = base64.b64encode(place.login.encode()).decode()
    request = urllib.request.Request(place.flower + path, headers={"Authorization": f"Basic {login}"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.load(answer)
    return found

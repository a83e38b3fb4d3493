"""The test bed: a Redis full of a site's data, an S3 server, a control Redis and a worker, all on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis

from tasks.beginning import begin
from tasks.demo.lifelike import fill
from tasks.demo.machine import BUCKET, REDKEEP, Machine

__all__ = ["Bed", "bed", "redkeep"]

RUN_TIMEOUT = 900


@dataclass
class Bed:
    """What stands there.

    Attributes:
        site: a client of the Redis under care. url: its address. folder: its data directory.
        megabytes: as `lifelike.fill` was told.
        config: the settings; two targets, ``follow`` and ``stream``, are both that Redis.
        identity: opens its backups. recipient: they are sealed to.
        s3: the S3 server's address, whose credentials are in our environment. bucket: the folder that is its bucket.
    """

    machine: Machine
    site: redis.Redis
    url: str
    megabytes: int
    config: Path
    recipient: str
    s3: str

    @property
    def folder(self) -> Path:
        return self.machine.folder / "site"

    @property
    def bucket(self) -> Path:
        return self.machine.folder / "s3" / BUCKET

    @property
    def identity(self) -> Path:
        return self.config.with_name("identity.txt")

    @property
    def standing(self) -> list[int]:
        """Process groups that take part in every way of making a backup."""
        return [self.machine.pid(name) for name in ("site", "s3", "control", "worker")]

    def save(self) -> None:
        """The server's own BGSAVE, awaited."""
        self.site.execute_command("BGSAVE")
        while self.site.info("persistence")["rdb_bgsave_in_progress"]:
            time.sleep(0.01)

    def backup(self, target: str) -> dict[str, Any]:
        """One backup through Celery and the worker; its result. No command is in it. For the first bed of a process."""
        from tasks.celery import app  # which keeps to the settings that REDKEEP_CONFIG names now

        done: dict[str, Any] = app.send_task("tasks.backup", [target]).get(timeout=RUN_TIMEOUT)
        if done["outcome"] != "succeeded":
            raise SystemExit(f"the backup {done['outcome']}: {done['error']}")
        return done


@contextmanager
def bed(gigabytes: float) -> Iterator[Bed]:
    """Make it, with ``gigabytes`` of used memory, and end it. The server compresses its RDB, as it does by default."""
    with tempfile.TemporaryDirectory(prefix="redkeep-bench-") as name, Machine(Path(name)) as machine:
        port = machine.redis("site", "--appendonly", "no", "--repl-diskless-sync-delay", "0")
        site = redis.Redis(port=port)
        megabytes = round(gigabytes * 1000)
        fill(site, megabytes)
        control = machine.redis("control")
        endpoint, credentials = machine.s3()
        os.environ |= credentials
        url = f"redis://127.0.0.1:{port}"
        files = begin(
            Path(name) / "conf",
            control=f"redis://127.0.0.1:{control}/0",
            store=f"s3://{BUCKET}/redis",
            server=url,
            data_dir=f"{name}/site",
            endpoint_url=endpoint,
            region="us-east-1",
        )
        text = files.settings.read_text().replace('name = "main"', 'name = "follow"')
        text += f'\n[[target]]\nname = "stream"\nurl = "{url}"\n'
        files.settings.write_text(text)
        os.environ["REDKEEP_CONFIG"] = str(files.settings)
        machine.redkeep("worker", "worker", "backup")
        made = Bed(machine, site, url, megabytes, files.settings, files.recipient, endpoint)
        redkeep("run", "backup", "follow", "--json")  # the worker's imports, the server's first save
        yield made


def redkeep(*arguments: str) -> Any:
    """One of our commands, and the object it prints."""
    told = subprocess.run([*REDKEEP, *arguments], capture_output=True, text=True, check=False)
    if not told.stdout:
        raise SystemExit(told.stderr)
    return json.loads(told.stdout)

"""One installation with real Celery workers, which a test starts, kills, stops and lets go on.

A run lasts as long as a test needs because the server's save child sleeps after each key (`rdb-key-save-delay`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from celery import Celery

from rig.keep import Keep, eventually
from rig.processes import dying_with_us
from rig.redis_servers import RedisServer
from tasks import broker
from tasks.control import Client, connect
from tasks.names import Keys
from tasks.records import Record

__all__ = ["KEYS", "SHORT", "SLOT", "Worker", "Yard", "only_backup"]

REDKEEP = Path(sys.executable).with_name("redkeep")
SLOT = "tasks.backup/main/2026-11-23T11:07Z"
KEYS = 30
SHORT = {"lease_ttl": "1s", "visibility": "3s", "patience": "200ms"}
"""A killed worker's message comes back within 3 s and the 2 s between two looks for it."""


class Worker:
    """``redkeep worker backup`` in a process group of its own."""

    def __init__(self, keep: Keep, name: str) -> None:
        self.log_path = keep.folder / f"{name}.log"
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                dying_with_us([str(REDKEEP), "worker", "backup", "--name", f"{name}@test"]),
                env=os.environ | {"REDKEEP_CONFIG": str(keep.config_path)},
                cwd=keep.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                process_group=0,
            )

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def ready(self) -> Worker:
        eventually(lambda: " ready." in self.log or self.process.poll() is not None)
        assert self.process.poll() is None, self.log
        return self

    def children(self) -> list[int]:
        """The pool's processes."""
        return _children(self.process.pid)

    def signal(self, what: signal.Signals) -> None:
        """To all of it, parent and pool."""
        os.killpg(self.process.pid, what)

    def kill(self) -> None:
        """SIGKILL to all of it, as a machine that goes away."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


class Yard:
    """One installation, its server under care, and the workers that a test starts."""

    def __init__(self, keep: Keep, server: RedisServer) -> None:
        self.keep = keep
        self.server = server
        self.control = keep.settings.control
        self.client: Client = connect(self.control)
        self.names = Keys(self.control.namespace)
        self.workers: list[Worker] = []
        url = broker.url(self.control)
        self.app = Celery(broker=url, backend=url, set_as_current=False)
        self.app.conf.broker_transport_options = broker.transport_options(self.control)
        prefix = broker.transport_options(self.control)["global_keyprefix"]
        self.app.conf.result_backend_transport_options = {"global_keyprefix": prefix}

    def work(self, *names: str) -> list[Worker]:
        """Start workers, and wait until each takes messages."""
        started = [Worker(self.keep, name) for name in names]
        self.workers += started
        return [each.ready() for each in started]

    def send(self, run_id: str = "", slot: str | None = None) -> str:
        run_id = run_id or str(uuid.uuid4())
        self.app.send_task("tasks.backup", ["main"], {"slot": slot, "by": "test"}, task_id=run_id, queue="backup")
        return run_id

    def state(self, run_id: str) -> str:
        return self.keep.record(run_id).state if self.client.exists(self.names.run(run_id)) else ""

    def ended(self, run_id: str, within: float = 40.0) -> Record:
        eventually(lambda: self.state(run_id) in ("succeeded", "failed", "skipped", "deferred"), within=within)
        return self.keep.record(run_id)

    def saves(self) -> int:
        """How often the server was asked to save."""
        stats = self.server.client().info("commandstats")
        return int(stats.get("cmdstat_bgsave", {"calls": 0})["calls"])

    def slow(self, seconds: float) -> None:
        """Every save takes that long from now on."""
        self.server.client().config_set("rdb-key-save-delay", int(seconds * 1e6 / KEYS))

    def saving(self) -> bool:
        return bool(self.server.client().info("persistence")["rdb_bgsave_in_progress"])

    def stop_saving(self) -> None:
        """End the save that runs now, and make the next ones quick."""
        self.slow(0)
        for child in _children(self.server.process.pid):
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        eventually(lambda: not self.saving())

    def queued(self) -> int:
        """Messages that wait for a worker."""
        return int(self.client.llen(f"{self.control.namespace}:celery:backup"))

    def unacknowledged(self) -> int:
        return int(self.client.zcard(f"{self.control.namespace}:celery:unacked_index"))

    def close(self) -> None:
        for worker in self.workers:
            worker.kill()
        self.app.close()
        self.client.close()


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def only_backup(yard: Yard) -> Any:
    """The one manifest in the store, and nothing beside it but its object."""
    (manifest,) = yard.keep.manifests()
    assert yard.keep.left() == [f"main/manifests/{manifest.id}.json", manifest.object.key]
    return manifest

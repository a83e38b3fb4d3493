"""An installation with many targets: a few small servers, each under many names, and one worker for each queue."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import redis

from tasks.beginning import begin
from tasks.control import Client, connect
from tasks.demo.machine import Machine
from tasks.names import Keys
from tasks.settings import load

__all__ = ["QUEUES", "Site", "site"]

SERVERS = 4
KEYS = 2000
QUEUES = ("backup", "rewrite", "tidy", "drill", "housekeeping")


@dataclass
class Site:
    machine: Machine
    config: Path
    client: Client
    keys: Keys
    targets: int

    def start(self, *queues: str) -> None:
        """A worker for each queue, ready."""
        for queue in queues:
            self.machine.redkeep(queue, "worker", queue, "--loglevel", "warning")
        for queue in queues:
            self.machine.wait_for(queue, lambda queue=queue: _answers(queue), 60)  # type: ignore[misc]

    def slots_done(self) -> int:
        return self._states(self.keys.slot("*"))["committed"]

    def runs(self) -> Counter[str]:
        """How many runs there are in each state."""
        return self._states(self.keys.run("*"))

    def _states(self, keys: str) -> Counter[str]:
        with self.client.pipeline(transaction=False) as pipe:
            for key in self.client.scan_iter(keys, count=1000):
                pipe.hget(key, "state")
            return Counter(pipe.execute())

    def waiting(self) -> int:
        """Messages in all queues."""
        prefix = f"{self.keys.namespace}:celery:"
        return sum(self.client.llen(prefix + queue) for queue in QUEUES)

    def pss(self, name: str) -> float:
        """Megabytes of that process and its children."""
        from tests.bench.cost import group, pss

        return sum(map(pss, group([self.machine.pid(name)])))


@contextmanager
def site(targets: int) -> Iterator[Site]:
    """Make it, and end it. Only one in a process: its settings are the process's."""
    with tempfile.TemporaryDirectory(prefix="redkeep-load-") as name, Machine(Path(name)) as machine:
        ports = [_filled(machine, f"site{number}") for number in range(SERVERS)]
        control = machine.redis("control", "--appendonly", "yes")
        folder = Path(name) / "conf"
        files = begin(folder, control=f"redis://127.0.0.1:{control}/0", store=(Path(name) / "store").as_uri())
        (Path(name) / "store").mkdir()
        files.settings.write_text(_many(files.settings.read_text(), targets, ports, machine.folder))
        os.environ["REDKEEP_CONFIG"] = str(files.settings)
        settings = load(files.settings)
        client = connect(settings.control)
        try:
            yield Site(machine, files.settings, client, Keys(settings.control.namespace), targets)
        finally:
            client.close()


def _filled(machine: Machine, name: str) -> int:
    port = machine.redis(name, "--appendonly", "yes")
    client = redis.Redis(port=port)
    client.mset({f"key:{number}": "x" * 200 for number in range(KEYS)})
    client.close()
    return port


def _many(text: str, targets: int, ports: list[int], folder: Path) -> str:
    """The settings with so many targets in place of the one. No drills: each starts a server, and shows nothing of
    the scheduling that a verify does not."""
    head = text.partition("[[target]]")[0].replace("# identity_files =", "identity_files =")
    return head + "".join(
        f'[[target]]\nname = "t{number:03}"\nurl = "redis://127.0.0.1:{ports[number % SERVERS]}"\n'
        f'data_dir = "{folder}/site{number % SERVERS}"\n[target.drill]\nschedule = "off"\n'
        for number in range(targets)
    )


def _answers(queue: str) -> bool:
    from tasks.celery import app

    answers = app.control.inspect(timeout=1.0).ping() or {}
    return any(name.startswith(f"{queue}@") for name in answers)


def due_all(schedule: Path) -> int:
    """A schedule file of a beat that was away for two days: everything is due. Gives how many entries there are."""
    from celery.beat import PersistentScheduler

    from tasks.celery import app

    scheduler = PersistentScheduler(app, schedule_filename=str(schedule))
    for entry in scheduler.schedule.values():
        entry.last_run_at = app.now() - timedelta(days=2)
    count = len(scheduler.schedule)
    scheduler.sync()
    scheduler.close()
    return count


def until(done: Callable[[], bool], seconds: float) -> float:
    """Wait for a fact; the seconds it took."""
    began = time.monotonic()
    while not done():
        if time.monotonic() > began + seconds:
            raise SystemExit(f"not done after {seconds:.0f} s")
        time.sleep(0.5)
    return time.monotonic() - began

"""``make bench``: what a backup costs beside the server's own save, how much memory its worker takes, and how soon a
run begins. Everything is real: a Redis, an S3 server, a worker, all on this machine.

Environment: BENCH_GB (used memory of the main table, default 1), BENCH_ROUNDS (default 3), BENCH_SIZES (the memory
table, default 0.25,1,4; empty leaves it out).
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis
from rich.console import Console
from rich.table import Table

from tasks.beginning import begin
from tasks.demo.lifelike import fill
from tasks.demo.machine import BUCKET, Machine
from tasks.settings import load
from tasks.store import open_store
from tests.bench.restores import restores

GB = float(os.environ.get("BENCH_GB", "1"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
SIZES = [float(text) for text in os.environ.get("BENCH_SIZES", "0.25,1,4").split(",") if text]
LIMITS = {"follow": 1.4, "memory": 250.0, "dispatch": 1.0, "verify": 200.0}
"""What was asked for: times the server's own save, MB, seconds, MB of plaintext a second."""
out = Console(width=120)


@dataclass
class Bench:
    """The machine under test and what was seen on it."""

    machine: Machine
    site: redis.Redis
    worker: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def note(self, what: str, seconds: float) -> None:
        self.seconds.setdefault(what, []).append(seconds)


@contextmanager
def bench(gigabytes: float) -> Iterator[Bench]:
    with tempfile.TemporaryDirectory(prefix="redkeep-bench-") as name, Machine(Path(name)) as machine:
        port = machine.redis("site", "--appendonly", "no", "--rdbcompression", "no", "--repl-diskless-sync-delay", "0")
        site = redis.Redis(port=port)
        fill(site, round(gigabytes * 1000))
        control = machine.redis("control")
        endpoint, credentials = machine.s3()
        os.environ |= credentials
        files = begin(
            Path(name) / "conf",
            control=f"redis://127.0.0.1:{control}/0",
            store=f"s3://{BUCKET}/redis",
            server=f"redis://127.0.0.1:{port}",
            data_dir=f"{name}/site",
            endpoint_url=endpoint,
            region="us-east-1",
        )
        text = files.settings.read_text().replace('name = "main"', 'name = "follow"')
        text += f'\n[[target]]\nname = "stream"\nurl = "redis://127.0.0.1:{port}"\n'
        files.settings.write_text(text)
        os.environ["REDKEEP_CONFIG"] = str(files.settings)
        machine.redkeep("worker", "worker", "backup")
        made = Bench(machine, site, machine.pid("worker"))
        backup("follow")  # the worker's imports, the server's first save
        yield made


# -- what is measured --------------------------------------------------------------------------------------


def save(seen: Bench) -> None:
    """The server's own BGSAVE, compression off, nothing else going on."""
    began = time.monotonic()
    seen.site.execute_command("BGSAVE")
    while seen.site.info("persistence")["rdb_bgsave_in_progress"]:
        time.sleep(0.01)
    seen.note("BGSAVE alone, compression off", time.monotonic() - began)


def backup(target: str) -> dict[str, Any]:
    """One run by the worker; gives its record."""
    done = redkeep("run", "backup", target, "--json")
    if done["outcome"] != "succeeded":
        raise SystemExit(f"the backup {done['outcome']}: {done['error']}")
    return done


def redkeep(*arguments: str) -> Any:
    command = [sys.executable, "-c", "from tasks.cli import main; main()", *arguments]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    if not told.stdout:
        raise SystemExit(told.stderr)
    return json.loads(told.stdout)


def dispatch(target: str) -> tuple[dict[str, Any], float]:
    """A run, and the seconds from the start of the command to the moment when the worker wrote into its record."""
    began = time.time()
    run = backup(target)
    control = redis.Redis.from_url(_control_url(), decode_responses=True)
    return run, float(control.hget(f"redkeep:run:{run['id']}", "started")) - began


def _control_url() -> str:
    settings = Path(os.environ["REDKEEP_CONFIG"]).read_text()
    return settings.split('url = "', 1)[1].split('"', 1)[0]


class Memory:
    """The peak of what a process group holds, shared pages counted once (PSS), sampled."""

    def __init__(self, pid: int) -> None:
        self.peak = 0.0
        self._group = pid
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.05):
            self.peak = max(self.peak, sum(map(pss, group(self._group))))


def group(leader: int) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == leader:
                    found.append(int(entry.name))
            except ProcessLookupError:
                continue
    return found


def pss(pid: int) -> float:
    """Megabytes (10**6)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


# -- the tables ----------------------------------------------------------------------------------------------


def speed() -> None:
    with bench(GB) as seen:
        used = seen.site.info("memory")["used_memory"]
        latencies = []
        for _ in range(ROUNDS):
            save(seen)
            for target in ("follow", "stream"):
                run, latency = dispatch(target)
                latencies.append(latency)
                seen.note(f"redkeep, {target}, to S3", sum(run["phases"].values()))
        table = Table(title=f"{used / 1e9:.2f} GB used memory, {ROUNDS} rounds, medians", box=None)
        for column in ("what", "seconds", "times BGSAVE", "asked"):
            table.add_column(column, justify="left" if column == "what" else "right")
        alone = statistics.median(seen.seconds["BGSAVE alone, compression off"])
        for what, seconds in seen.seconds.items():
            asked = f"<= {LIMITS['follow']}" if "follow" in what else ""
            median = statistics.median(seconds)
            table.add_row(what, f"{median:.2f}", f"{median / alone:.2f}", asked)
        out.print(table)
        out.print(
            f"from `redkeep run` to the task's first line: {statistics.median(latencies):.2f} s "
            f"(asked: < {LIMITS['dispatch']:.0f})\n"
        )
        verify()
        config = Path(os.environ["REDKEEP_CONFIG"])
        store = open_store(**load(config).store.arguments())
        restores(out, store, "follow", config.with_name("identity.txt"), ROUNDS)


def verify() -> None:
    """The command, as one calls it at three in the morning; its own start is not in it."""
    identity = Path(os.environ["REDKEEP_CONFIG"]).with_name("identity.txt")
    told = [redkeep("verify", "latest", "follow", "--identity", str(identity), "--json") for _ in range(ROUNDS)]
    rate = statistics.median(each["bytes"] / 1e6 / each["seconds"] for each in told)
    out.print(
        f"verify: {rate:.0f} MB/s of plaintext (asked: >= {LIMITS['verify']:.0f}); "
        f"structure {told[-1]['structure']}: {told[-1]['checker']}\n"
    )


def memory() -> None:
    table = Table(title="peak memory of the worker (parent and child, shared pages once), MB", box=None)
    for column in ("used memory, GB", "RDB, MB", "peak, MB", "asked"):
        table.add_column(column, justify="right")
    for size in SIZES:
        with bench(size) as seen, Memory(seen.worker) as watched:
            run = backup("follow")
            used = seen.site.info("memory")["used_memory"] / 1e9
        table.add_row(
            f"{used:.2f}", f"{run['figures']['bytes'] / 1e6:.0f}", f"{watched.peak:.0f}", f"<= {LIMITS['memory']:.0f}"
        )
    out.print(table)


if __name__ == "__main__":
    out.print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    speed()
    if SIZES:
        memory()

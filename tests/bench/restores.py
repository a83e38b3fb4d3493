"""What a restore costs beside stock tools and beside the server itself, from a local copy of the newest backup.

The sealed object and its manifest lie in a folder first, so that no download is in the figures.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import redis
from rich.console import Console
from rich.table import Table

from tasks import catalog
from tasks.demo.machine import Machine
from tasks.keyring import identities_for
from tasks.manifest import Manifest
from tasks.names import manifest_key
from tasks.restore import Layout, fetch, spooled, to_dir
from tasks.restore.live import Course
from tasks.store import Store, open_store

__all__ = ["restores"]

ASKED = {"to_dir": 1.15, "to_redis": 1.25, "memory": 250.0}
"""Times stock tools, times the server's own load, MB."""


def restores(out: Console, store: Store, target: str, identity: Path, rounds: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="redkeep-bench-") as name:
        folder = Path(name)
        local, manifest = _copied(store, target, folder / "store")
        keys = identities_for(manifest, [identity])
        sealed = folder / "store" / manifest.object.key
        stock, ours, load, live = [], [], [], []
        for _ in range(rounds):
            stock.append(_seconds(lambda: _stock(sealed, identity, folder / "dump.rdb")))
            ours.append(_seconds(lambda: _placed(local, manifest, keys, folder / "data")))
            load.append(_own_load(folder, manifest))
            live.append(_live(folder, local, manifest, keys))
        table = Table(title=f"restores of {manifest.plaintext.bytes / 1e6:.0f} MB of RDB, medians", box=None)
        for column in ("what", "seconds", "beside", "seconds", "times", "asked"):
            table.add_column(column, justify="left" if column in ("what", "beside") else "right")
        _row(table, "--to-dir", ours, "age -d | zstd -d, synced", stock, ASKED["to_dir"])
        _row(table, "--to-redis", live, "the server's own load", load, ASKED["to_redis"])
        out.print(table)
        peak = _peak(folder, target, identity)
        out.print(f"peak memory of --to-dir: {peak:.0f} MB (asked: <= {ASKED['memory']:.0f})\n")


def _copied(store: Store, target: str, folder: Path) -> tuple[Store, Manifest]:
    folder.mkdir()
    local = open_store(folder.as_uri())
    manifest = catalog.find(store, target, catalog.LATEST)
    local.put(manifest.object.key, store.get(manifest.object.key))
    local.put_once(manifest_key(target, manifest.id), store.read(manifest_key(target, manifest.id)))
    return local, manifest


def _seconds(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _stock(sealed: Path, identity: Path, path: Path) -> None:
    path.unlink(missing_ok=True)
    line = 'age -d -i "$1" "$2" | zstd -d -q -o "$3" && sync "$3"'
    subprocess.run(["sh", "-c", line, "sh", identity, sealed, path], check=True)


def _placed(store: Store, manifest: Manifest, keys: list[str], folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    layout = Layout(appendonly=True, multi_part=True)
    to_dir(fetch(store, manifest, keys), folder, layout, expected=manifest.plaintext.bytes)


def _own_load(folder: Path, manifest: Manifest) -> float:
    """As the server itself tells it in its log."""
    shutil.rmtree(folder / "logs", ignore_errors=True)
    with Machine(folder) as machine:
        (folder / "own").mkdir(exist_ok=True)
        shutil.copyfile(folder / "dump.rdb", folder / "own" / "dump.rdb")
        machine.redis("own", "--appendonly", "no")
        log = (folder / "logs" / "own.log").read_text(errors="replace")
    return float(re.findall(r"DB loaded from disk: ([\d.]+) seconds", log)[-1])


def _live(folder: Path, store: Store, manifest: Manifest, keys: list[str]) -> float:
    with Machine(folder) as machine, spooled(fetch(store, manifest, keys), manifest.plaintext.bytes) as file:
        shutil.rmtree(folder / "live", ignore_errors=True)
        port = machine.redis("live", "--appendonly", "yes")
        with Course(f"redis://127.0.0.1:{port}", manifest, file) as course:
            figures = course.run()
        assert redis.Redis(port=port).dbsize()
    return float(figures["transfer_seconds"])


def _peak(folder: Path, target: str, identity: Path) -> float:
    """Of the whole command; started by a small process, since a child's figure begins with its parent's."""
    script = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stderr=subprocess.DEVNULL); "
    script += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    place = ["--to-dir", str(folder / "peak"), "--appendonly", "yes", "--yes", "--allow-unsigned"]
    command = [sys.executable, "-c", "from tasks.cli import main; main()", "restore", "latest", target, *place]
    command += ["--store", (folder / "store").as_uri(), "--identity", str(identity)]
    told = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True)
    return int(told.stdout) * 1024 / 1e6


def _row(table: Table, what: str, ours: list[float], beside: str, theirs: list[float], asked: float) -> None:
    one, other = statistics.median(ours), statistics.median(theirs)
    table.add_row(what, f"{one:.2f}", beside, f"{other:.2f}", f"{one / other:.2f}", f"<= {asked}")

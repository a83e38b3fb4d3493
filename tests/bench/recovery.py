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

from tasks import catalog
from tasks.demo.machine import REDKEEP, Machine
from tasks.keyring import identities_for
from tasks.manifest import Manifest
from tasks.names import manifest_key
from tasks.restore import Layout, fetch, spooled, to_dir
from tasks.restore.live import Course
from tasks.settings import load
from tasks.store import Store, open_store
from tests.bench.bed import Bed, bed, redkeep
from tests.bench.table import Table, asked, publish, versions

__all__ = ["recovery"]

VERIFY, TO_DIR, TO_REDIS, MEGABYTES = 200.0, 1.15, 1.25, 250.0
"""What was asked for: MB of plaintext a second; times stock tools; times the server's own load; peak memory."""


def recovery(gigabytes: float, rounds: int) -> None:
    """Publish the table."""
    with bed(gigabytes) as made:
        rate = _verify(made, rounds)
        store = open_store(**load(made.config).store.arguments())
        with tempfile.TemporaryDirectory(prefix="redkeep-bench-") as name:
            folder = Path(name)
            local, manifest = _copied(store, "follow", folder / "store")
            keys = identities_for(manifest, [made.identity])
            sealed = folder / "store" / manifest.object.key
            stock, ours, load_, live = [], [], [], []
            for _ in range(rounds):
                stock.append(_seconds(lambda: _stock(sealed, made.identity, folder / "dump.rdb")))
                ours.append(_seconds(lambda: _placed(local, manifest, keys, folder / "data")))
                load_.append(_own_load(folder, manifest))
                live.append(_live(folder, local, manifest, keys))
            peak = _peak(folder, "follow", made.identity)
    rows = [
        _row("`restore --to-dir`", ours, "`age -d \\| zstd -d`, synced", stock),
        _row("`restore --to-redis`", live, "the server's own load of that RDB", load_),
    ]
    publish(
        "recovery",
        f"Restores of an RDB of {manifest.plaintext.bytes / 1e6:.0f} MB, {rounds} rounds",
        "From a local copy of the sealed backup; medians.",
        Table(("what", "seconds", "beside", "its seconds", "times"), rows),
        f"- into a folder: {asked(_times(ours, stock), TO_DIR, ' times')}\n"
        f"- into a running server: {asked(_times(live, load_), TO_REDIS, ' times')}\n"
        f"- peak memory of `redkeep restore`: {asked(peak, MEGABYTES, ' MB')}\n"
        f"- `redkeep verify`, with the download: {rate:.0f} MB of plaintext a second "
        f"(asked: at least {VERIFY:.0f}{'; missed' if rate < VERIFY else ''})",
        used=versions("redis-server", "age", "zstd"),
    )


def _verify(made: Bed, rounds: int) -> float:
    """The command, as one calls it at three in the morning; its own start is not in it. MB of plaintext a second."""
    told = [redkeep("verify", "latest", "follow", "--identity", str(made.identity), "--json") for _ in range(rounds)]
    return statistics.median(each["bytes"] / 1e6 / each["seconds"] for each in told)


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
    command = [*REDKEEP, "restore", "latest", target, *place]
    command += ["--store", (folder / "store").as_uri(), "--identity", str(identity)]
    told = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True)
    return int(told.stdout) * 1024 / 1e6


def _times(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(ours) / statistics.median(theirs)


def _row(what: str, ours: list[float], beside: str, theirs: list[float]) -> tuple[str, ...]:
    one, other = statistics.median(ours), statistics.median(theirs)
    return what, f"{one:.2f}", beside, f"{other:.2f}", f"{one / other:.2f}"

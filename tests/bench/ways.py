"""The ways of getting a Redis into S3: the server's own save, redkeep's two sources, and what people use instead."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from tasks.demo.machine import BUCKET
from tests.bench.bed import Bed
from tests.bench.cost import Cost
from tests.bench.tools import environment, located

__all__ = ["BASE", "EXPLAINED", "FOLLOW", "PIPES", "RESTICS", "TOOLS", "WAYS", "Way", "shell"]

Go = Callable[[Bed, Cost, int], None]
"""Make one backup in that round; add the process groups of ours that take part to the cost's `ours`."""


@dataclass(frozen=True)
class Way:
    """
    Attributes:
        server_compression: whether the server's ``rdbcompression`` is on meanwhile.
        stored: the folder of the bucket that it writes into; empty where it stores nothing.
        before: a shell script that makes ready, off the clock.
        kept: what it stored stays for its next round.
    """

    name: str
    go: Go
    server_compression: bool = True
    stored: str = ""
    tools: tuple[str, ...] = ()
    before: str = ""
    kept: bool = False

    @property
    def missing(self) -> list[str]:
        return [tool for tool in self.tools if located(tool) is None]


def shell(script: str) -> Go:
    """A way that is a shell script, and fails if any part of it does. It finds $PORT, $DUMP, $RECIPIENT, $BUCKET and
    $ROUND, the S3 server as rclone's ``store:``, and restic's repositories beneath $RESTIC."""

    def go(bed: Bed, cost: Cost, round_: int) -> None:
        process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=bed.machine.folder,
            env=os.environ | _environment(bed) | {"ROUND": str(round_)},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        cost.ours.append(process.pid)
        _, said = process.communicate()
        if process.returncode:
            raise SystemExit(f"{script}\n{said.decode(errors='replace')[-1000:]}")

    return go


def _environment(bed: Bed) -> dict[str, str]:
    return environment(bed.s3) | {
        "PORT": bed.url.rpartition(":")[2],
        "DUMP": str(bed.folder / "dump.rdb"),
        "RECIPIENT": bed.recipient,
        "RESTIC": f"s3:{bed.s3}/{BUCKET}/restic",
        "RESTIC_PASSWORD": "bench",
        "RESTIC_CACHE_DIR": str(bed.machine.folder / "restic-cache"),
    }


def _save(bed: Bed, _: Cost, __: int) -> None:
    bed.save()


def _redkeep(target: str) -> Go:
    def go(bed: Bed, cost: Cost, _: int) -> None:
        cost.ours.append(bed.machine.pid("worker"))
        bed.backup(target)

    return go


DUMP = 'redis-cli -p "$PORT" --rdb -'
PIPE = f"""
{DUMP} | zstd -q -1 | age -r "$RECIPIENT" | rclone rcat "store:$BUCKET/pipe/$ROUND.rdb.zst.age"
"""
RESTIC = f"""
{DUMP} | restic -q -r "$RESTIC/new/$ROUND" backup --stdin --stdin-filename dump.rdb
"""
RESTIC_NEW = """
restic -q -r "$RESTIC/new/$ROUND" init >/dev/null
"""
RESTIC_AGAIN = RESTIC.replace("new/$ROUND", "kept")
RESTIC_BEFORE = f"""
restic -q -r "$RESTIC/kept" cat config >/dev/null 2>&1 && exit
restic -q -r "$RESTIC/kept" init >/dev/null
{RESTIC_AGAIN}
"""
CRON = """
before=$(redis-cli -p "$PORT" LASTSAVE)
sleep 1 # it has whole seconds
redis-cli -p "$PORT" BGSAVE >/dev/null
while [ "$(redis-cli -p "$PORT" LASTSAVE)" = "$before" ]; do sleep 0.1; done
cp "$DUMP" copy.rdb
gzip -f copy.rdb
age -r "$RECIPIENT" -o copy.rdb.gz.age copy.rdb.gz
rclone copyto copy.rdb.gz.age "store:$BUCKET/cron/$ROUND.rdb.gz.age"
rm copy.rdb.gz copy.rdb.gz.age
"""

PIPED = ("redis-cli", "zstd", "age", "rclone")
KEPT = ("redis-cli", "restic")
TOOLS = ("redis-server", "zstd", "age", "rclone", "restic", "gzip")

BASE = "BGSAVE, compression off"
FOLLOW, STREAM = "redkeep `follow`", "redkeep `stream`"
PIPES = ("shell pipe", "shell pipe, compression off")
RESTICS = ("restic, new", "restic, again")
WAYS = (
    Way(BASE, _save, server_compression=False),
    Way("BGSAVE", _save),
    Way(FOLLOW, _redkeep("follow"), stored="redis/follow"),
    Way(STREAM, _redkeep("stream"), stored="redis/stream"),
    Way(f"{STREAM}, compression off", _redkeep("stream"), False, stored="redis/stream"),
    Way(PIPES[0], shell(PIPE), stored="pipe", tools=PIPED),
    Way(PIPES[1], shell(PIPE), False, stored="pipe", tools=PIPED),
    Way(RESTICS[0], shell(RESTIC), False, stored="restic/new", tools=KEPT, before=RESTIC_NEW),
    Way(RESTICS[1], shell(RESTIC_AGAIN), False, stored="restic/kept", tools=KEPT, before=RESTIC_BEFORE, kept=True),
    Way("the old cron", shell(CRON), stored="cron", tools=("redis-cli", "gzip", "age", "rclone")),
)

EXPLAINED = """\
Where nothing is said the server compresses its RDB, as it does by default; `follow` has that off for its own fork.

- *shell pipe*: `redis-cli --rdb - | zstd -1 | age | rclone rcat`
- *restic, new*: `redis-cli --rdb - | restic backup --stdin` into an empty repository; *again*: into one that holds
  a backup already, whose blocks it finds again
- *the old cron*: BGSAVE, awaited; then `cp`, `gzip`, `age`, `rclone copyto`, one after the other"""

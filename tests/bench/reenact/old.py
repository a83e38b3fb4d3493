"""The old way: the server's save points, and a cron that ships what they left."""

from __future__ import annotations

from tasks.stream.age import generate_identity, recipient_of
from tests.bench.reenact.stage import Stage
from tests.bench.reenact.watching import Backup
from tests.bench.tools import environment

__all__ = ["begin", "shipped", "told"]

CRON = """
while :; do
  forked=$(stat -c %Y "$DUMP")
  cp "$DUMP" copy.rdb &&
    gzip -f copy.rdb &&
    age -r "$RECIPIENT" -o copy.rdb.gz.age copy.rdb.gz &&
    rclone copyto copy.rdb.gz.age "store:$BUCKET/cron/$forked.rdb.gz.age" &&
    echo "shipped $forked $(stat -c %s copy.rdb.gz.age)"
  rm -f copy.rdb copy.rdb.gz copy.rdb.gz.age
  sleep $((60 - $(date +%s) % 60))
done
"""


def begin(stage: Stage) -> None:
    """Save once, as the save points of a site that has been up for a while have done; then start the cron."""
    with stage.client() as client:
        before = client.lastsave()
        client.bgsave(schedule=True)
        stage.machine.wait_for("a save", lambda: client.lastsave() != before, 120)
    own = {"DUMP": str(stage.folder / "dump.rdb"), "RECIPIENT": recipient_of(generate_identity())}
    stage.machine.start("cron", ["bash", "-c", CRON], environment(stage.endpoint) | own)
    stage.bound.take(stage.machine.pid("cron"))


def shipped(stage: Stage) -> list[Backup]:
    """What it has in the store, oldest first. A dump's age counts from its last write: its fork was a little before."""
    log = (stage.machine.folder / "logs" / "cron.log").read_text()
    words = [line.split() for line in log.splitlines() if line.startswith("shipped ")]
    return [Backup(float(forked), int(size)) for _, forked, size in words]


def told() -> str:
    """It keeps no record of what it did."""
    return ""

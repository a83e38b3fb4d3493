"""``make load``. LOAD_TARGETS (default 10,50,200) and LOAD_RUNS (default 2000) make it smaller or larger.

Each size is measured in a process of its own, for a process has one settings file.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.bench.cost import cpu_seconds
from tests.bench.table import Table, where
from tests.load.site import QUEUES, Site, due_all, site, until

TARGETS = [int(text) for text in os.environ.get("LOAD_TARGETS", "10,50,200").split(",")]
RUNS = int(os.environ.get("LOAD_RUNS", "2000"))
DOCUMENT = Path(__file__).parents[2] / "docs" / "scaling.md"
BEGIN, END = "<!-- made by make load: begin -->", "<!-- end -->"
PATIENCE = 1800.0
GROWTH = 5.0
"""Per cent that a worker's memory may grow by in 2,000 runs."""


# -- every task of every target, due at once ---------------------------------------------------------------------------


def wave(targets: int) -> dict[str, float]:
    """Beat finds that everything is due; until every slot is done."""
    with site(targets) as made:
        made.start(*QUEUES)
        batch(made, targets)  # so that there is something to verify
        empty = made.client.info("memory")["used_memory"]
        schedule = made.machine.folder / "beat-schedule"
        entries = due_all(schedule)
        made.machine.redkeep("beat", "beat", "--schedule", str(schedule), "--loglevel", "warning")
        longest = 0

        def done() -> bool:
            nonlocal longest
            longest = max(longest, made.waiting())
            return made.slots_done() >= entries and settled(made)

        seconds = until(done, PATIENCE)
        return {
            "targets": targets,
            "entries": entries,
            "seconds": seconds,
            "longest": longest,
            "beat": cpu_seconds([made.machine.pid("beat")]),
            "bytes": made.client.info("memory")["used_memory"] - empty,
            "keys": made.client.dbsize(),
            "failed": failed(made),
        }


def settled(made: Site) -> bool:
    """Nothing is sent, waits or runs."""
    runs = made.runs()
    return made.waiting() == 0 and not any(runs[state] for state in ("queued", "waiting", "running"))


def failed(made: Site) -> int:
    """Runs that did not end well; there must be none."""
    runs = made.runs()
    return runs.total() - runs["succeeded"] - runs["skipped"]


# -- many runs by one worker -------------------------------------------------------------------------------------------


def marathon(runs: int) -> dict[str, float]:
    """So many backups by one worker as it comes; its memory after the first hundred and at the end."""
    with site(20) as made:
        made.start("backup", "housekeeping")
        first = batch(made, 100)
        before, control = made.pss("backup"), made.client.info("memory")["used_memory"]
        seconds = batch(made, runs - 100)
        return {
            "runs": runs,
            "seconds": first + seconds,
            "before": before,
            "after": made.pss("backup"),
            "control": (made.client.info("memory")["used_memory"] - control) / (runs - 100),
            "failed": failed(made),
        }


def batch(made: Site, runs: int) -> float:
    from tasks.celery import app

    sent = [app.send_task("tasks.backup", [f"t{number % made.targets:03}"], {"by": "load"}) for number in range(runs)]
    return until(lambda: sent[-1].ready() and settled(made), PATIENCE)


# -- telling -----------------------------------------------------------------------------------------------------------


def measured(what: str, size: int) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-m", "tests.load", what, str(size)], stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(what, found, flush=True)
    return found


def told(waves: list[dict[str, float]], long: dict[str, float]) -> str:
    columns = (
        "targets", "tasks due at once", "seconds", "a task", "longest queue", "beat's CPU a task, ms",
        "control Redis a target, KiB", "ended badly",
    )  # fmt: skip
    rows = [
        (
            f"{each['targets']:.0f}",
            f"{each['entries']:.0f}",
            f"{each['seconds']:.0f}",
            f"{each['seconds'] / each['entries']:.2f}",
            f"{each['longest']:.0f}",
            f"{1000 * each['beat'] / each['entries']:.1f}",
            f"{each['bytes'] / each['targets'] / 1024:.0f}",
            f"{each['failed']:.0f}",
        )
        for each in waves
    ]
    growth = 100 * (long["after"] / long["before"] - 1)
    missed = "" if growth < GROWTH else "; missed"
    return (
        f"Measured: {where()}.\n\n{Table(columns, rows)}\n\n{long['runs']:.0f} backups by one worker, "
        f"{long['seconds'] / long['runs']:.2f} s each: its memory went from {long['before']:.0f} MB after the first "
        f"hundred to {long['after']:.0f} MB, {growth:+.1f} % (asked: below {GROWTH:.0f} %{missed}); the control Redis "
        f"grew by {long['control'] / 1024:.1f} KiB a run, until its records' bounds ([control] history) are reached; "
        f"{long['failed']:.0f} runs ended badly."
    )


def main(arguments: list[str]) -> None:
    if len(arguments) == 2:
        what, size = arguments
        print(json.dumps({"wave": wave, "marathon": marathon}[what](int(size))))
        return
    text = told([measured("wave", size) for size in TARGETS], measured("marathon", RUNS))
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.partition(END)[2]}")
    print(text)


if __name__ == "__main__":
    main(sys.argv[1:])

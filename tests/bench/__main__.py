"""``make bench`` measures all that docs/benchmarks.md tells; ``make bench ARGS="ways worker"``, some parts of it.

Environment: BENCH_GB (used memory, default 1), BENCH_ROUNDS (default 3), BENCH_SIZES (GB for the worker's memory,
default 0.25,1,4), BENCH_KEYS (that tidy removes, default 5000000), BENCH_OUT (another document).
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

from tests.bench.race import race
from tests.bench.recovery import recovery
from tests.bench.tidy import tidy
from tests.bench.worker import worker

GB = float(os.environ.get("BENCH_GB", "1"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
KEYS = int(os.environ.get("BENCH_KEYS", "5000000"))
SIZES = [float(text) for text in os.environ.get("BENCH_SIZES", "0.25,1,4").split(",")]

PARTS: dict[str, Callable[[], None]] = {
    "ways": lambda: race(GB, ROUNDS),
    "worker": lambda: worker(SIZES, ROUNDS),
    "recovery": lambda: recovery(GB, ROUNDS),
    "tidy": lambda: tidy(KEYS),
}


def main(wanted: list[str]) -> None:
    if unknown := set(wanted) - set(PARTS):
        sys.exit(f"no part of the bench is called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if len(wanted) == 1:
        PARTS[wanted[0]]()
        return
    for name in wanted or PARTS:  # each in a process of its own: its memory and its settings are the process's
        subprocess.run([sys.executable, "-m", "tests.bench", name], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])

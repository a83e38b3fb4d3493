"""``make reenact``: both acts, one after the other, and what docs/reenactment.md says of them.

Environment: REENACT_MB (data in use at the beginning, default 1000), REENACT_SECONDS (of each act, default 300).
"""

from __future__ import annotations

import os
import signal
import sys
from types import ModuleType

from tests.bench.reenact import old, ours
from tests.bench.reenact.report import report
from tests.bench.reenact.stage import Stage, stage
from tests.bench.reenact.watching import Act, watch

MEGABYTES = int(os.environ.get("REENACT_MB", "1000"))
SECONDS = int(os.environ.get("REENACT_SECONDS", "300"))


def act(name: str, way: ModuleType) -> tuple[Act, Stage, str]:
    """Set the stage, and watch that way on it."""
    with stage(MEGABYTES) as set_:
        seen = watch(name, set_, way, SECONDS)
        print(f"{name}: {seen.whole}", file=sys.stderr)
        return seen, set_, way.told()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as Ctrl-C: the servers and the swap file go
    (first, _, _), (second, set_, told) = act("the old way", old), act("redkeep", ours)
    print(report([first, second], set_, told))

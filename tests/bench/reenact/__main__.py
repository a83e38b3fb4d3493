"""``make reenact``: both acts, one after the other, and what docs/reenactment.md says of them.

Environment: REENACT_MB (data at the beginning, default 400), REENACT_SECONDS (of each act, default 180).
"""

from __future__ import annotations

import os
from types import ModuleType

from tests.bench.reenact import old, ours
from tests.bench.reenact.report import report
from tests.bench.reenact.stage import Stage, stage
from tests.bench.reenact.watching import Act, watch

MEGABYTES = int(os.environ.get("REENACT_MB", "400"))
SECONDS = int(os.environ.get("REENACT_SECONDS", "180"))


def act(name: str, way: ModuleType) -> tuple[Act, Stage, str]:
    """Set the stage, let that way begin, and watch it."""
    with stage(MEGABYTES) as set_:
        way.begin(set_)
        seen = watch(name, set_, way.shipped, SECONDS)
        return seen, set_, way.told()


if __name__ == "__main__":
    (first, _, _), (second, set_, told) = act("the old way", old), act("redkeep", ours)
    print(report([first, second], MEGABYTES, set_.limit, set_.bound, told))

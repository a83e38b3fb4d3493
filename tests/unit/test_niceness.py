"""A worker's child steps back, and takes along its own session only."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.niceness import NICE

CHILD = """
import os
from pathlib import Path
from tasks.niceness import stand_back
if os.fork():
    os.wait()
else:
    os.nice({before})
    stand_back()
    group = Path("/proc/self/autogroup")
    print(os.getpriority(os.PRIO_PROCESS, 0), group.read_text().split()[-1] if group.exists() else "none")
"""


def told(before: int, *, leads: bool) -> tuple[int, str]:
    """Niceness of a child and of its session, whose leader its parent is or is not."""
    command = [sys.executable, "-c", CHILD.format(before=before)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=leads)
    niceness, session = done.stdout.split()
    return int(niceness), session


@pytest.mark.parametrize("before", [0, NICE + 3])
def test_a_child_becomes_nice_and_one_that_is_nicer_stays_so(before: int) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert told(before, leads=False)[0] == max(NICE, own + before)


def test_a_session_steps_back_where_the_worker_leads_it_and_a_shells_does_not() -> None:
    ours = Path("/proc/self/autogroup")
    now = ours.read_text().split()[-1] if ours.exists() else "none"
    assert told(0, leads=False)[1] == now
    assert told(0, leads=True)[1] == (str(NICE) if ours.exists() else "none")

"""A worker's child steps back, and takes along its own session only."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tasks.niceness import NICE

CHILD = """
import os
from pathlib import Path
from tasks.niceness import stand_back

def group():
    try:  # empty where the session has no group of its own, absent where the kernel does not group
        return (Path("/proc/self/autogroup").read_text().split() or ["none"])[-1]
    except OSError:
        return "none"

if os.fork():
    os.wait()
else:
    os.nice({before})
    session = group()
    stand_back()
    print(os.getpriority(os.PRIO_PROCESS, 0), session, group())
"""


def told(before: int, *, leads: bool) -> tuple[int, str, str]:
    """Niceness of a child, and of its session before and after; its parent leads the session or does not."""
    command = [sys.executable, "-c", CHILD.format(before=before)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, start_new_session=leads)
    niceness, session_before, session_after = done.stdout.split()
    return int(niceness), session_before, session_after


@pytest.mark.parametrize("before", [0, NICE + 3])
def test_a_child_becomes_nice_and_one_that_is_nicer_stays_so(before: int) -> None:
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert told(before, leads=False)[0] == max(NICE, own + before)


def test_the_session_steps_back_where_the_worker_leads_it() -> None:
    _, before, after = told(0, leads=True)
    assert (before, after) in {("0", str(NICE)), ("none", "none")}


def test_a_shells_session_stays_as_it_was() -> None:
    _, before, after = told(0, leads=False)
    assert after == before

"""Beat's memory, changed so that a schedule falls due at once, as after an outage; nothing waits for a minute."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rig.commands import environment, run

__all__ = ["memory_of_a_beat_that_was_away", "same_memory"]

_AGE = """
import sys
from datetime import timedelta
from celery.beat import PersistentScheduler
from tasks.celery import app
scheduler = PersistentScheduler(app, schedule_filename=sys.argv[1])
for entry in scheduler.schedule.values():
    entry.last_run_at = app.now() - timedelta(days=float(sys.argv[2]))
scheduler.sync()
scheduler.close()
"""


def memory_of_a_beat_that_was_away(config: Path, path: Path, *, days: float = 3) -> Path:
    """A schedule file of that installation, last written so many days ago. Celery's own class writes it."""
    done = run([sys.executable, "-P", "-c", _AGE, path, days], env=environment(config))
    assert done.code == 0, done.err
    return path


def same_memory(path: Path, other: Path) -> Path:
    """A copy, for another beat; a schedule file may be several files."""
    for part in path.parent.glob(f"{path.name}*"):
        shutil.copy(part, other.parent / (other.name + part.name.removeprefix(path.name)))
    return other

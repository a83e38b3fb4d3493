"""A backup in a process of its own that stops itself, as a machine does that is paused, before its Nth exchange with
the store: what others do meanwhile is the test's to choose."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rig.keep import ROOT, Keep
from rig.processes import dying_with_us
from tasks import backup as backup_verb
from tasks import job, settings
from tasks.errors import RedkeepError
from tasks.job import Again, Ticket
from tasks.store import open_store

__all__ = ["PausedBackup"]

ENDED = 7
"""Exit code of a run that ended in an error of ours, which its record tells."""


class PausedBackup:
    """Started by its constructor; stopped, or at its end, once that returns.

    Attributes:
        paused: False where it ended before it had made that many exchanges.
    """

    def __init__(self, keep: Keep, run_id: str, slot: str, *, before: int) -> None:
        script = "import sys; from rig.paused import run_here; run_here(*sys.argv[1:])"
        self.process = subprocess.Popen(
            dying_with_us([sys.executable, "-c", script, str(keep.config_path), run_id, slot, str(before)]),
            env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])},
            stdin=subprocess.DEVNULL,
        )
        _, status = os.waitpid(self.process.pid, os.WUNTRACED)
        self.paused = os.WIFSTOPPED(status)

    def go_on(self) -> None:
        """To its end, whatever that is."""
        self.process.send_signal(signal.SIGCONT)
        assert self.process.wait(30) in (0, ENDED)

    def kill(self) -> None:
        """As the kernel does when memory runs out."""
        self.process.kill()
        self.process.wait()


class _Stopping:
    """A store that stops its process before one of its exchanges."""

    def __init__(self, store: Any, before: int) -> None:
        self._store = store
        self._left = before

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._store, name)
        return self._counted(found) if callable(found) else found

    def _counted(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left < 0:
                self._left = sys.maxsize
                os.kill(os.getpid(), signal.SIGSTOP)
            return method(*arguments, **named)

        return call


def run_here(config: str, run_id: str, slot: str, before: str) -> None:
    """What the process runs."""
    loaded = settings.load(Path(config))
    target = settings.target_of(loaded, "main")
    backup_verb.open_store = lambda **options: _Stopping(open_store(**options), int(before))  # type: ignore[assignment]
    ticket = Ticket(run_id, "tasks.backup", "main", slot=slot, by="test")
    try:
        job.run(lambda each: backup_verb.backup(each, loaded, target), ticket, loaded, target)
    except (Again, RedkeepError):
        sys.exit(ENDED)

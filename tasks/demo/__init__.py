"""Everything at once on this machine: a Redis with a site's data, an S3 server, worker, beat, Flower.

The story it tells: beat's schedule fires a backup; tidy removes what nobody needs, and the next backup is smaller; a
drill proves that it comes back, and how fast; Flower knows all of it; and the file comes back into a third Redis with
every key.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tasks.demo.machine import Machine
from tasks.demo.place import TARGET, Place, Say, build
from tasks.demo.steps import brought_back, drilled, scheduled, seen_in_flower, smaller, tidied

__all__ = ["demo"]

MEGABYTES = 200


def demo(say: Say, *, stay: bool, megabytes: int = MEGABYTES) -> None:
    """Run the whole story, and clean up.

    Raises:
        DemoFailed: a step did not do what it should.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with _folder() as folder, Machine(folder) as machine:
        place = build(machine, say, megabytes)
        first = scheduled(place, say)
        tidy = tidied(say)
        second = smaller(say, first)
        drill = drilled(say)
        seen_in_flower(place, say, [first, tidy, second, drill])
        brought_back(place, say, second)
        if stay:
            _stay(place, say)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="redkeep-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stay(place: Place, say: Say) -> None:
    user, _, password = place.login.partition(":")
    names = ("REDKEEP_CONFIG", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    lines = [f"export {name}={os.environ[name]}" for name in names]
    say("it goes on until Ctrl-C", f"{place.flower}/redkeep  user {user}  password {password}")
    called = ("status", "history", f"memory {TARGET}", f"run backup {TARGET}", f"backups {TARGET}", "check")
    say("in another terminal", "\n".join([*lines, *(f"{_command()} {what}" for what in called)]))
    try:
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        say("ending", "all processes stop, the folder is removed")


def _command() -> str:
    """How a user calls us: by name where that is what PATH finds."""
    ours, found = Path(sysconfig.get_path("scripts")) / "redkeep", shutil.which("redkeep")
    return str(ours) if ours.exists() and (found is None or not ours.samefile(found)) else "redkeep"

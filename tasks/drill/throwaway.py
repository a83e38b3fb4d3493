"""A server for one drill: a unix socket in a private folder, bounded in memory and time, gone at the end."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import redis

from tasks.drill import launch
from tasks.errors import DrillFailed, DrillServerFailed, DrillServerMissing, MemoryShort, RedkeepError
from tasks.manifest import Manifest
from tasks.restore.memory import available_here, needed_for
from tasks.server import Checkpoint, Server, parse_keyspace

__all__ = ["Throwaway", "candidates", "private_folder"]

PREFIX = "redkeep-drill-"
START = 30.0
"""Seconds in which a server answers at all."""
SLOWEST = 5_000_000
"""Bytes of RDB per second below which loading is given up; a laptop loads more than ten times as many."""
POLL = 0.02
LOG_TAIL = 600
"""Characters of the server's log that an error quotes."""


def candidates(named: Path | None, vendor: str) -> list[Path]:
    """Servers of this machine: the one that is named, else those on PATH, the vendor's own first.

    Raises:
        DrillServerMissing: there is none.
    """
    if named is not None:
        if not os.access(named, os.X_OK):
            raise DrillServerMissing(f"no program {named}")
        return [named]
    other = {"redis": "valkey", "valkey": "redis"}[vendor]
    found = [shutil.which(f"{name}-server") for name in (vendor, other)]
    if not any(found):
        raise DrillServerMissing("neither redis-server nor valkey-server is on PATH")
    return [Path(path) for path in found if path]


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder in TMPDIR that only we can enter, gone at the end; and with it what killed drills have left there."""
    _sweep()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _sweep() -> None:
    for left in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):  # another user's, or alive
            opened = os.open(left, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(opened)


class Throwaway:
    """One server process at a time. Use as a context manager; nothing of it is left at the end.

    It dies with the thread that starts it, and with everything it has started.
    """

    def __init__(self, binary: Path, folder: Path, manifest: Manifest) -> None:
        self._binary = binary
        self._folder = folder
        self._log = folder / "log"
        self._bytes = manifest.plaintext.bytes
        self._databases = max(16, 1 + max(map(int, manifest.plaintext.keys), default=0))
        self._memory = self._granted(manifest)
        self._process: subprocess.Popen[bytes] | None = None
        self._nowhere = socket.socket()
        self._opened = -1
        self._clients: list[redis.Redis] = []

    @staticmethod
    def _granted(manifest: Manifest) -> int:
        """Bytes of address space: all that is free now, so that what else runs here keeps what it has.

        Raises:
            MemoryShort: the data set would not fit.
        """
        needed, free = needed_for(manifest), available_here()
        if needed > free:
            told = f"the data set needs about {needed // 2**20} MiB, and {free // 2**20} MiB are free"
            raise MemoryShort(f"no memory for a drill of backup {manifest.id}", detail=told, hint="Make room here.")
        return max(free, 2**30)

    def __enter__(self) -> Self:
        self._opened = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        self._nowhere.bind(("127.0.0.1", 0))  # held and never listened on: nobody else can answer there
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            client.close()
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._nowhere.close()
        self._socket.unlink(missing_ok=True)
        os.close(self._opened)

    def start(self, data: Path, checkpoint: Checkpoint) -> None:
        """Start it on that folder and wait until it has loaded all of it.

        Raises:
            DrillFailed: it cannot load what is there.
            DrillServerFailed: it does not even start on an empty folder.
        """
        empty = not data.exists()
        data.mkdir(mode=0o700, exist_ok=True)
        self._spawn(data)
        end = time.monotonic() + START + self._bytes / SLOWEST
        while not self._loaded():
            checkpoint()
            ended = self._process is not None and self._process.poll() is not None
            if ended or time.monotonic() > end:
                told = "ended" if ended else "was not ready in time"
                kind: type[RedkeepError] = DrillServerFailed if empty else DrillFailed
                raise kind(f"{self._binary.name} {told}", detail=self._last_words())
            time.sleep(POLL)

    @property
    def _socket(self) -> Path:
        """By way of the open folder: a unix socket's path has 107 bytes at most, and TMPDIR's may have more."""
        return Path(f"/proc/self/fd/{self._opened}/s")

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    @contextmanager
    def asked(self) -> Iterator[Server]:
        with Server(self.url) as server:
            yield server

    def client(self, database: int = 0) -> redis.Redis:
        """A client that answers in bytes; closed with the server."""
        self._clients.append(redis.Redis(unix_socket_path=str(self._socket), db=database, socket_timeout=60))
        return self._clients[-1]

    def keys(self) -> dict[str, int]:
        """Keys per database, expired ones included: it is a replica."""
        with self.asked() as server:
            return parse_keyspace(server.ask("INFO", "keyspace"))[0]

    def _spawn(self, data: Path) -> None:
        options: dict[str, Any] = {
            "port": 0,
            "unixsocket": "../s",  # seen from `dir`
            "unixsocketperm": 700,
            "dir": data,
            "daemonize": "no",
            "appendonly": "yes",
            "save": "",
            "auto-aof-rewrite-percentage": 0,  # no child: it would outlive the server that is killed
            "databases": self._databases,
            "replica-serve-stale-data": "yes",
            "protected-mode": "yes",
        }
        arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
        arguments += ["--replicaof", "127.0.0.1", str(self._nowhere.getsockname()[1])]
        launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid()), str(self._memory)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - a program that the settings name, or PATH's
                [*launcher, str(self._binary), *arguments],
                cwd=data,
                env={"PATH": os.defpath, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _loaded(self) -> bool:
        if not self._socket.exists():
            return False
        try:
            with Server(self.url, timeout=5.0) as server:
                return server.info("persistence").get("loading") == "0"
        except RedkeepError:  # not yet, or no more: the caller looks
            return False

    def _last_words(self) -> str:
        with suppress(OSError):
            return self._log.read_text(errors="replace")[-LOG_TAIL:].strip().replace("\n", " | ")
        return ""

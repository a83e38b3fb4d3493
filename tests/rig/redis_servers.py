"""Real redis-servers, each on its own port, in its own folder, gone when its block ends.

    with RedisServer("redis7", appendonly="yes") as server:
        server.client().set("a", 1)
        server.kill()
        server.restart()
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

import redis
import redis.exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from rig.ports import ReservedPort
from rig.processes import dying_with_us
from rig.redis_binaries import FLAVOURS, binary, why_missing
from rig.redis_conf import Value, as_arguments, as_file, hyphenated

__all__ = ["FLAVOURS", "RedisServer", "ServerDied", "binary", "load", "why_missing"]

START_SECONDS = 60.0
STOP_SECONDS = 15.0
ONCE = Retry(NoBackoff(), 0)


class ServerDied(RuntimeError):
    """The process ended, or never answered; the message carries the end of its log."""


class RedisServer:
    """One server process on 127.0.0.1, its folder, and its end. Use it as a context manager.

    Args:
        flavour: one of :data:`FLAVOURS`.
        password: ``requirepass``; :attr:`url` and :meth:`client` carry it.
        users: ACL lines as ``user`` takes them, ``"backup on >secret ~* +bgsave"``.
        unix_socket: listen on :attr:`socket_path` as well.
        user: whom it runs as, instead of us; needs root.
        umask: of the process; Debian's unit says ``0o007``, the official image ``0o077``. -1 leaves ours.
        config_file: False starts it from the command line alone, where ``CONFIG REWRITE`` cannot work.
        arguments: flags after the configuration file, which win over it.
        wait_loaded: False returns as soon as it answers at all, be it with LOADING.
        rdb: a file to start from, linked or copied to ``dump.rdb``.
        config: any directive, ``appendonly="yes"``; an underscore stands for a hyphen. Where nothing is said,
            ``save`` is empty and DEBUG allowed.

    Attributes:
        dir: the server's ``dir``. Its configuration and log lie beside it, not in it.
        process: the server itself, at the head of a process group of its own.

    Start it from the main thread: the server dies with the thread that started it.
    """

    def __init__(
        self,
        flavour: str,
        *,
        password: str | None = None,
        users: Sequence[str] = (),
        unix_socket: bool = False,
        user: int | None = None,
        umask: int = -1,
        config_file: bool = True,
        arguments: Sequence[str] = (),
        wait_loaded: bool = True,
        rdb: Path | None = None,
        **config: Value,
    ) -> None:
        path = binary(flavour)
        if path is None:
            raise ServerDied(why_missing(flavour))
        self.flavour = flavour
        self.binary = path
        self.password = password
        self.process: subprocess.Popen[bytes] | None = None
        self._user = user
        self._umask = umask
        self._arguments = arguments
        self._wait_loaded = wait_loaded
        self._clients: list[redis.Redis] = []
        self._port = ReservedPort()

        self._folder = Path(tempfile.mkdtemp(prefix="redkeep-"))
        self.dir = self._folder / "data"
        self.dir.mkdir(mode=0o750)
        self.socket_path = self._folder / "redis.sock"
        self.config_path = self._folder / "redis.conf" if config_file else None
        self._log_path = self._folder / "redis.log"
        self._log_path.touch()
        if user is not None:
            os.chown(self._folder, user, user)
            os.chown(self.dir, user, user)
        if rdb is not None:
            _link_or_copy(rdb, self.dir / "dump.rdb")

        self._config: dict[str, Value] = {"bind": "127.0.0.1", "dir": self.dir, "save": ""}
        if flavour != "redis6":  # which allows DEBUG always and does not know the directive
            self._config["enable-debug-command"] = "yes"
        if password is not None:
            self._config["requirepass"] = shlex.quote(password)
        if users:
            self._config["user"] = list(users)
        if unix_socket:
            self._config["unixsocket"] = self.socket_path
        self._config |= hyphenated(config)

    # -- what a test asks of it

    @property
    def port(self) -> int:
        """The same for all its life, restarts included; nobody else gets it in between."""
        return self._port.number

    @property
    def url(self) -> str:
        return f"redis://{self._credentials}127.0.0.1:{self.port}"

    @property
    def unix_url(self) -> str:
        return f"unix://{self._credentials}{self.socket_path}"

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        """All that the server has said, over all its lives."""
        return self._log_path.read_text(errors="replace")

    def client(self, **options: Any) -> redis.Redis:
        """A client that answers in bytes; ``options`` as :class:`redis.Redis` takes them. Closed with the server.

        It tries once: redis-py's own default tries a refused connection or password for four seconds.
        """
        ours = {"host": "127.0.0.1", "port": self.port, "password": self.password, "retry": ONCE}
        self._clients.append(redis.Redis(**ours | options))
        return self._clients[-1]

    def counts(self) -> dict[int, tuple[int, int]]:
        """Keys, and those of them that expire, of every database that has any."""
        keyspace = self.client().info("keyspace")
        return {int(db.removeprefix("db")): (facts["keys"], facts["expires"]) for db, facts in keyspace.items()}

    def digest(self) -> str:
        """``DEBUG DIGEST``: 40 hex digits, equal for equal datasets whatever order they were written in."""
        return bytes(self.client().execute_command("DEBUG", "DIGEST")).decode()

    # -- its life

    def start(self, *, wait_loaded: bool | None = None) -> Self:
        """Start it and wait until it answers. A port that was taken after all is given up for another."""
        if self.config_path is not None and not self.config_path.exists():
            self.config_path.write_text(as_file(self._config))
        for attempts_left in reversed(range(5)):
            said_before = len(self.log)
            self._spawn()
            try:
                self._await_answer(self._wait_loaded if wait_loaded is None else wait_loaded)
            except ServerDied:
                if not attempts_left or "Address already in use" not in self.log[said_before:]:
                    raise
                self._port.release()
                self._port = ReservedPort()
            else:
                break
        return self

    def restart(self, *, wait_loaded: bool | None = None, **config: Value) -> Self:
        """Stop it if it runs and start it again: same port, same folder, its own rewritten file, ``config`` on top."""
        self.stop()
        added = hyphenated(config)
        self._config |= added
        if self.config_path is not None:
            with self.config_path.open("a") as file:
                file.write(as_file(added))
        return self.start(wait_loaded=wait_loaded)

    def stop(self) -> None:
        """SIGTERM and its end, as a service manager does it: saves where save points exist. Killed if it lingers."""
        if not self.running:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """SIGKILL, to the server alone: a save child that runs is orphaned, as when the kernel runs out of memory."""
        if self.running:
            self.process.kill()
            self.process.wait()

    def close(self) -> None:
        """End all of it and remove its folder. May be called twice."""
        for client in self._clients:
            client.close()
        self.kill()
        while orphans := list(self._orphans()):
            for pid in orphans:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.005)  # they are not ours to wait for
        self._port.release()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        if self.running:  # load() has started it
            return self
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{self.flavour} on port {self.port}, {'up' if self.running else 'down'}>"

    # -- how

    @property
    def _credentials(self) -> str:
        return "" if self.password is None else f":{quote(self.password, safe='')}@"

    def _spawn(self) -> None:
        # The port is an argument even beside a file: it is what another attempt changes, and arguments win.
        command = [str(self.binary)]
        command += [str(self.config_path)] if self.config_path is not None else as_arguments(self._config)
        command += [*self._arguments, "--port", str(self.port)]
        with self._log_path.open("ab") as log:
            self.process = subprocess.Popen(
                dying_with_us(command),
                cwd=self.dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                user=self._user,
                group=self._user,
                umask=self._umask,
                process_group=0,
            )

    def _await_answer(self, wait_loaded: bool) -> None:
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url, protocol=2, retry=ONCE, socket_timeout=5) as client:
            while not _answers(client, wait_loaded):
                if not self.running:
                    raise ServerDied(f"{self.flavour} ended with {self.process.returncode}:\n{self.log[-2000:]}")
                if time.monotonic() > deadline:
                    raise ServerDied(f"{self.flavour} gave no answer in {START_SECONDS:g} s:\n{self.log[-2000:]}")
                time.sleep(0.01)

    def _orphans(self) -> Iterator[int]:
        """What still runs of the process group: save children whose server was killed."""
        if self.process is None:
            return
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                same_group = os.getpgid(int(entry.name)) == self.process.pid
                if same_group and (entry / "exe").readlink() == self.binary.resolve():
                    yield int(entry.name)


def load(flavour: str, rdb: Path, **options: Any) -> RedisServer:
    """A throwaway server that holds exactly what ``rdb`` holds, started and loaded; the caller closes it (``with``).

    It is a replica of nowhere: a replica drops no expired key by itself, so counts are those of the file.

    Raises:
        ServerDied: not a file that this server can load; the message has the server's own words.
    """
    return RedisServer(flavour, **{"rdb": rdb, "replicaof": "127.0.0.1 1", "appendonly": "no"} | options).__enter__()


def _answers(client: redis.Redis, wait_loaded: bool) -> bool:
    try:
        client.ping()
    except redis.BusyLoadingError:
        return not wait_loaded
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError):
        return True
    except (redis.ConnectionError, redis.TimeoutError):
        return False
    return True


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or another user's file
        shutil.copyfile(source, target)

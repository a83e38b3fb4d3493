"""One Redis or Valkey under care, over one connection, in raw answers.

No retries and no parsed replies: redis-py's own ``bgsave()`` turns every answer into True, and its default
retries were seen to run BGSAVE twice over a stall. Every error comes out as one of ours, with the ACL rule to
grant where a right is missing.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.errors import (
    RedkeepError,
    ReplicaStale,
    ServerAuthFailed,
    ServerDenied,
    ServerIsReplica,
    ServerLoading,
    ServerRefused,
    ServerSaving,
    ServerUnreachable,
    ServerUnsupported,
)
from tasks.manifest import ServerFacts
from tasks.names import masked_url

__all__ = ["Checkpoint", "Server", "Word"]

Word = str | bytes | int
"""One word of a command; a key may be any bytes."""
Checkpoint = Callable[[], None]
"""Called at every step of a long wait; raises where the work must stop."""

POLL = 0.05
"""Seconds between two looks at a state that somebody else changes."""


class Server:
    """A connection to one server. Use as a context manager; not for several threads.

    Args:
        url: as redis-py takes it (redis://, rediss://, unix://).
        timeout: seconds to wait for a connection or an answer; a fork of a large data set may take seconds.
    """

    def __init__(self, url: str, *, timeout: float = 30.0) -> None:
        self.shown = masked_url(url)
        self.user = unquote(urlsplit(url).username or "default")
        self._pool = redis.ConnectionPool.from_url(
            url,
            protocol=2,
            decode_responses=False,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=timeout,
            socket_connect_timeout=min(timeout, 5.0),
            **({} if url.startswith("unix:") else {"socket_keepalive": True}),  # unknown to redis-py's unix sockets
        )
        self._connection: Any = None

    def __enter__(self) -> Self:
        with self.speaking("connect"):
            self._connection = self._pool.get_connection()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.disconnect()

    # -- asking ------------------------------------------------------------------------------------------

    def ask(self, *command: Word) -> Any:
        """One command, its raw answer (bytes, int, list). Raises the error that the server's refusal means."""
        return self.answers([command])[0]

    def answers(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """All commands in one write, so that the server runs them without another client's in between.

        Every answer is read before the first error among them is raised.
        """
        found = self.replies(commands)
        for command, answer in zip(commands, found, strict=True):
            if isinstance(answer, redis.ResponseError):
                raise self.refusal(answer, command)
        return found

    def replies(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """The same, with a refusal (redis.ResponseError) standing in the place of its answer."""
        found: list[Any] = []
        if not commands:
            return found
        with self.speaking(str(commands[0][0])):
            self._connection.send_packed_command(self._connection.pack_commands(commands))
            for _ in commands:
                try:
                    found.append(self._connection.read_response())
                except redis.ResponseError as error:
                    found.append(error)
        return found

    def touchless(self) -> bool:
        """From now on this connection's looking makes no key young, where the server can do that (from 7.2)."""
        return not isinstance(self.replies([("CLIENT", "NO-TOUCH", "ON")])[0], redis.ResponseError)

    def info(self, section: str) -> dict[str, str]:
        """One section of INFO as it is written."""
        return parse_info(self.ask("INFO", section))

    def config(self, *names: str) -> dict[str, str]:
        """The named settings; those the server does not have are left out."""
        found: dict[str, str] = {}
        for flat in self.answers([("CONFIG", "GET", name) for name in names]):
            texts = [each.decode(errors="replace") for each in flat]
            found |= dict(zip(texts[::2], texts[1::2], strict=True))
        return found

    def local_address(self) -> str:
        """The address of this host that the server sees us by; of loopback, over a unix socket."""
        here = self._connection._sock.getsockname()
        return str(here[0]) if isinstance(here, tuple) else "127.0.0.1"

    # -- what it is and does -----------------------------------------------------------------------------

    def facts(self) -> ServerFacts:
        """Vendor, version, role and mode.

        Raises:
            ServerUnsupported: older than Redis 6.2.
        """
        info = self.info("server") | self.info("replication") | self.info("memory")
        vendor = "valkey" if info.get("server_name") == "valkey" else "redis"
        version = info.get("valkey_version") or info.get("redis_version", "0")
        if vendor == "redis" and tuple(int(part) for part in version.split(".")[:2]) < (6, 2):
            raise ServerUnsupported(f"{self.shown} is Redis {version}")
        return ServerFacts(
            name="valkey" if vendor == "valkey" else "redis",
            version=version,
            run_id=info["run_id"],
            role=info["role"],
            mode=info.get("redis_mode") or info.get("server_mode", "standalone"),
            used_memory=int(info["used_memory"]),
        )

    def check_role(self, *, accept_replica: bool) -> None:
        """
        Raises:
            ServerIsReplica: it follows a primary, and that was not said to be meant.
            ReplicaStale: it is meant, but its link is down, so its data may be old.
        """
        info = self.info("replication")
        if info["role"] == "master":
            return
        if not accept_replica:
            raise ServerIsReplica(f"{self.shown} is a replica")
        if info.get("master_link_status") != "up":
            raise ReplicaStale(f"{self.shown} has lost its primary")

    def wait_until_quiet(self, patience: float, checkpoint: Checkpoint) -> None:
        """Return once no save, no rewrite and no loading is under way.

        Raises:
            ServerLoading, ServerSaving: it still is after `patience` seconds.
        """
        end = time.monotonic() + patience
        while True:
            checkpoint()
            state = self.info("persistence")
            if busy := _busy(state):
                if time.monotonic() >= end:
                    kind = ServerLoading if busy == "loading" else ServerSaving
                    raise kind(f"{self.shown} is still busy after {patience:g} s", detail=busy)
                time.sleep(POLL)
            else:
                return

    def wait_for_child(self, checkpoint: Checkpoint) -> None:
        """Return once the save or rewrite that runs now has ended, however long it takes. Another may run by then."""
        forks = self.info("stats")["total_forks"]
        while _busy(self.info("persistence")) and self.info("stats")["total_forks"] == forks:
            checkpoint()
            time.sleep(POLL)

    @contextmanager
    def raw(self) -> Iterator[Any]:
        """A second connection, for a protocol that redis-py does not speak. Closed at the end."""
        with self.speaking("connect"):
            connection: Any = self._pool.make_connection()
            connection.connect()
        try:
            yield connection
        finally:
            connection.disconnect()

    # -- errors ------------------------------------------------------------------------------------------

    @contextmanager
    def speaking(self, command: str) -> Iterator[None]:
        """Around an exchange with the server: what redis-py raises comes out as one of ours."""
        try:
            yield
        except redis.AuthenticationError as error:
            raise ServerAuthFailed(f"{self.shown} did not accept the login", detail=_first_line(error)) from None
        except redis.BusyLoadingError:
            raise ServerLoading(f"{self.shown} is loading its data") from None
        except redis.ResponseError as error:
            raise self.refusal(error, [command]) from None
        except (redis.RedisError, OSError) as error:
            detail = _first_line(error)
            raise ServerUnreachable(f"no answer from {self.shown}", detail=detail) from None

    def refusal(self, error: redis.RedisError, refused: Sequence[Word]) -> RedkeepError:
        """What it means that the server answered this command with an error."""
        text = _first_line(error)
        command = [str(word) for word in refused[:2]]
        named = " ".join(command[:2] if command[0] in ("CONFIG", "REPLCONF") else command[:1])
        if isinstance(error, redis.AuthenticationError) or "NOAUTH" in text or "WRONGPASS" in text:
            return ServerAuthFailed(f"{self.shown} did not accept the login", detail=text)
        if isinstance(error, redis.exceptions.NoPermissionError) or "NOPERM" in text:
            rule = "config|" + command[1].lower() if command[0] == "CONFIG" else command[0].lower()
            if rule == "connect":  # a database number in the URL: the server names what redis-py sent for it
                rule = named = next(iter(re.findall(r"'([a-z|]+)' command", text)), rule)
            return ServerDenied(
                f"user {self.user!r} may not run {named.upper()} on {self.shown}",
                hint=f"Grant it: ACL SETUSER {self.user} +{rule}",
            )
        if "unknown command" in text:
            return ServerDenied(
                f"{self.shown} has no command {command[0]}",
                hint=f"{command[0]} is renamed or switched off there (rename-command); give it back its name.",
            )
        if isinstance(error, redis.BusyLoadingError) or text.startswith("LOADING"):
            return ServerLoading(f"{self.shown} is loading its data")
        return ServerRefused(f"{self.shown} refused {named}", detail=text)


def parse_info(answer: bytes) -> dict[str, str]:
    """
    >>> parse_info(b"# Server\\r\\nrun_id:7f\\r\\nexecutable:C:x\\r\\n")
    {'run_id': '7f', 'executable': 'C:x'}
    """
    lines = answer.decode(errors="replace").splitlines()
    return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))


def parse_keyspace(answer: bytes) -> tuple[dict[str, int], dict[str, int]]:
    """Keys and expires per database, from INFO keyspace.

    >>> parse_keyspace(b"# Keyspace\\r\\ndb0:keys=3,expires=1,avg_ttl=0\\r\\n")
    ({'0': 3}, {'0': 1})
    """
    keys: dict[str, int] = {}
    expires: dict[str, int] = {}
    for database, text in parse_info(answer).items():
        figures = dict(pair.split("=", 1) for pair in text.split(","))
        keys[database.removeprefix("db")] = int(figures["keys"])
        expires[database.removeprefix("db")] = int(figures["expires"])
    return keys, expires


def _busy(persistence: dict[str, str]) -> str:
    names: Iterable[tuple[str, str]] = (
        ("loading", "loading"),
        ("rdb_bgsave_in_progress", "a save"),
        ("aof_rewrite_in_progress", "an AOF rewrite"),
        ("aof_rewrite_scheduled", "an AOF rewrite about to start"),
    )
    return next((said for field, said in names if persistence.get(field, "0") != "0"), "")


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200]

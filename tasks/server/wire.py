"""One connection to a server, in raw answers.

No retries and no parsed replies: redis-py's own ``bgsave()`` turns every answer into True, and its default
retries were seen to run BGSAVE twice over a stall. Every error comes out as one of ours, with the ACL rule to
grant where a right is missing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tasks.errors import RedkeepError, ServerAuthFailed, ServerLoading, ServerUnreachable
from tasks.names import masked_url
from tasks.server.info import parse_info
from tasks.server.refusals import first_line, refusal

__all__ = ["Wire", "Word"]

Word = str | bytes | int
"""One word of a command; a key may be any bytes."""


class Wire:
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
        return self.checked(commands, self.replies(commands))

    def checked(self, commands: Sequence[Sequence[Word]], replies: list[Any]) -> list[Any]:
        """The replies as they are. Raises what the first refusal among them means."""
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, redis.ResponseError):
                raise self.refusal(reply, command)
        return replies

    def replies(self, commands: Sequence[Sequence[Word]]) -> list[Any]:
        """The same, with a refusal (redis.ResponseError) standing in the place of its answer."""
        self.send(commands)
        return self.receive(commands)

    def send(self, commands: Sequence[Sequence[Word]]) -> None:
        """The first half of `replies`, for who has something else to do meanwhile; `receive` must follow."""
        if commands:
            with self.speaking(_text(commands[0][0])):
                self._connection.send_packed_command(self._connection.pack_commands(commands))

    def receive(self, sent: Sequence[Sequence[Word]]) -> list[Any]:
        """The second half."""
        found: list[Any] = []
        with self.speaking(_text(sent[0][0]) if sent else ""):
            for _ in sent:
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

    @property
    def is_here(self) -> bool:
        """It answers from this very host, as far as the addresses tell."""
        socket = self._connection._sock
        here, there = socket.getsockname(), socket.getpeername()
        return not isinstance(here, tuple) or here[0] == there[0]

    @property
    def cli(self) -> str:
        """How an operator speaks to it; the password is theirs to add."""
        if self.shown.startswith("unix:"):
            return f"redis-cli -s {self.shown.removeprefix('unix://')}"
        return f"redis-cli -u {self.shown}"

    def local_address(self) -> str:
        """The address of this host that the server sees us by; of loopback, over a unix socket."""
        here = self._connection._sock.getsockname()
        return str(here[0]) if isinstance(here, tuple) else "127.0.0.1"

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
            raise ServerAuthFailed(f"{self.shown} did not accept the login", detail=first_line(error)) from None
        except redis.BusyLoadingError:
            raise ServerLoading(f"{self.shown} is loading its data") from None
        except redis.ResponseError as error:
            raise self.refusal(error, [command]) from None
        except (redis.RedisError, OSError) as error:
            detail = first_line(error)
            raise ServerUnreachable(f"no answer from {self.shown}", detail=detail) from None

    def refusal(self, error: redis.RedisError, command: Sequence[Word]) -> RedkeepError:
        """What it means that the server answered this command with an error."""
        return refusal(self.shown, self.user, error, [_text(word) for word in command[:2]])


def _text(word: Word) -> str:
    return word.decode(errors="replace") if isinstance(word, bytes) else str(word)

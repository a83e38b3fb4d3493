"""What a replica says to its primary, read strictly and within bounds: it comes from the network, before any login.

Commands are arrays of bulk strings, a bare newline is a sign of life while it loads (replication.c,
replicationSendNewlineToMaster). Anything else ends the connection.
"""

from __future__ import annotations

import re
import socket
import time

from tasks.errors import RestoreCut

__all__ = ["Reader"]

WORDS = 16
"""More than any command of a handshake has; REPLCONF takes pairs."""
LENGTH = 1024
"""Bytes of one word; the longest is a password or an address."""
READ = 4096
_COUNT = re.compile(rb"\*([1-9]\d?)")
_SIZE = re.compile(rb"\$(0|[1-9]\d{0,3})")


class Reader:
    """The commands of one connection. Not for several threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def command(self, deadline: float) -> list[bytes]:
        """The next command, its name in capitals.

        Args:
            deadline: on the monotonic clock.

        Raises:
            RestoreCut: not in time, not in this form, or the connection has ended.
        """
        while True:
            line = self._line(deadline)
            if line:
                break
        found = _COUNT.fullmatch(line)
        if found is None or int(found[1]) > WORDS:
            raise RestoreCut("it does not speak as a replica does")
        words = [self._word(deadline) for _ in range(int(found[1]))]
        return [words[0].upper(), *words[1:]]

    def drain(self) -> None:
        """Take what has come, without waiting, so that the other side never has to wait for us.

        Raises:
            RestoreCut: the connection has ended.
        """
        self._connection.settimeout(0)
        try:
            while True:
                self._receive()
                self._buffer = b""
        except BlockingIOError:
            return

    def _word(self, deadline: float) -> bytes:
        found = _SIZE.fullmatch(self._line(deadline))
        if found is None or int(found[1]) > LENGTH:
            raise RestoreCut("it does not speak as a replica does")
        length = int(found[1])
        while len(self._buffer) < length + 2:
            self._more(deadline)
        word, end, self._buffer = self._buffer[:length], self._buffer[length : length + 2], self._buffer[length + 2 :]
        if end != b"\r\n":
            raise RestoreCut("it does not speak as a replica does")
        return word

    def _line(self, deadline: float) -> bytes:
        while b"\n" not in self._buffer:
            if len(self._buffer) > 32:
                raise RestoreCut("it does not speak as a replica does")
            self._more(deadline)
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line.removesuffix(b"\r")

    def _more(self, deadline: float) -> None:
        left = deadline - time.monotonic()
        if left <= 0:
            raise RestoreCut("it fell silent in the middle of the handshake")
        self._connection.settimeout(left)
        try:
            self._receive()
        except TimeoutError:
            raise RestoreCut("it fell silent in the middle of the handshake") from None

    def _receive(self) -> None:
        try:
            data = self._connection.recv(READ)
        except (BlockingIOError, TimeoutError):
            raise
        except OSError as error:
            raise RestoreCut("it broke the connection", detail=(error.strerror or "").lower()) from None
        if not data:
            raise RestoreCut("it ended the connection")
        self._buffer += data

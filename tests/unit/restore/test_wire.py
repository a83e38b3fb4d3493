"""What comes from the network before a login is read strictly, in whatever pieces it comes, and ends in one way."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import RestoreCut
from tasks.restore.live.wire import LENGTH, WORDS, Reader

WORD = st.binary(max_size=40)
COMMAND = st.lists(WORD, min_size=1, max_size=WORDS)


def packed(words: list[bytes]) -> bytes:
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


@contextmanager
def joined(thread: threading.Thread) -> Iterator[None]:
    thread.start()
    try:
        yield
    finally:
        thread.join()


def read(body: bytes, step: int, count: int) -> list[list[bytes]]:
    """So many commands of what is sent in pieces of so many bytes, and then closed."""
    ours, theirs = socket.socketpair()

    def send() -> None:
        with suppress(OSError):  # the reader has had enough
            for start in range(0, len(body), step):
                theirs.sendall(body[start : start + step])
            theirs.shutdown(socket.SHUT_WR)

    sender = threading.Thread(target=send)
    with theirs, joined(sender), ours:
        reader = Reader(ours)
        return [reader.command(time.monotonic() + 5) for _ in range(count)]


@given(st.lists(COMMAND, min_size=1, max_size=3), st.integers(1, 50))
def test_commands_come_out_as_they_were_sent(commands: list[list[bytes]], step: int) -> None:
    body = b"\n".join(map(packed, commands))  # a newline in between is a sign of life
    assert read(body, step, len(commands)) == [[first.upper(), *rest] for first, *rest in commands]


@given(st.binary(max_size=200))
def test_anything_else_ends_the_connection_and_nothing_worse(body: bytes) -> None:
    with pytest.raises(RestoreCut):
        read(body, 64, 50)


@pytest.mark.parametrize(
    "body",
    [
        b"PING\r\n",
        b"*0\r\n",
        b"*-1\r\n",
        b"*%d\r\n" % (WORDS + 1),
        b"*1\r\n$-1\r\n",
        b"*1\r\n$%d\r\n" % (LENGTH + 1),
        b"*1\r\n$4\r\nPINGxx",
        b"*1\r\n:4\r\n",
        b"*1" * 5000,
    ],
)
def test_what_no_replica_says_is_refused(body: bytes) -> None:
    with pytest.raises(RestoreCut):
        read(body, 4096, 1)


def test_silence_ends_it_too() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"*2\r\n$4\r\nAUTH\r\n")
        with pytest.raises(RestoreCut, match="silent"):
            Reader(ours).command(time.monotonic() + 0.01)

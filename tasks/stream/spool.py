"""Two waiting rooms between a stage and its consumer, so that neither waits for the other's every step.

``ahead`` reads a few chunks on, in memory. ``spool`` takes all that comes: a server that streams its snapshot hangs up
on whoever reads slowly, so what a slow store has not taken yet waits in memory and then on disk, sealed already.

Either runs its upstream in a thread of its own. That thread alone steps and closes the upstream; whoever closes the
stage early waits until the upstream's step under way has ended. What the upstream raises is raised to the consumer
as soon as it is known, in place of what still waits and of the end: the rest of a failed stream is of no use.
"""

from __future__ import annotations

import errno
import os
import tempfile
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator
from threading import Condition, Thread
from typing import BinaryIO

from tasks.errors import SpoolFull
from tasks.stream.shape import PIECE, owned

__all__ = ["ahead", "spool"]


def ahead(chunks: Iterator[bytes], depth: int) -> Iterator[bytes]:
    """The same chunks, read up to ``depth`` of them (at least 1) before they are asked for."""
    return _relayed(chunks, _Shelf(depth))


def spool(
    chunks: Iterator[bytes],
    memory: int,
    *,
    disk: int | None = None,
    on_close: Callable[[int], None] | None = None,
) -> Iterator[bytes]:
    """The same bytes, read as fast as they come; a slow consumer never slows the upstream.

    Up to ``memory`` bytes wait in memory, the others in an unlinked file in TMPDIR, which is emptied whenever all of
    it was taken, and grows to ``disk`` bytes at most where that is given. ``on_close`` is told at the very end,
    whatever the end, how many bytes went through the file. Raises SpoolFull.
    """
    return _relayed(chunks, _Store(memory, disk), on_close)


def _relayed(chunks: Iterator[bytes], room: _Room, on_close: Callable[[int], None] | None = None) -> Iterator[bytes]:
    reader = Thread(target=_fill, args=(chunks, room), name="redkeep-reader", daemon=True)
    reader.start()
    try:
        while (chunk := room.take()) is not None:
            yield chunk
    finally:
        room.abandon()
        reader.join()
        room.close()
        if on_close is not None:
            on_close(room.spilled)


def _fill(chunks: Iterator[bytes], room: _Room) -> None:
    """The thread's whole life."""
    try:
        with owned(chunks):
            for chunk in chunks:
                if not room.put(chunk):
                    break
    except BaseException as failure:  # noqa: BLE001 - raised again by take()
        room.end(failure)
    else:
        room.end()


class _Room(ABC):
    """What was read and not yet taken. One thread puts, one other takes.

    Attributes:
        spilled: bytes that went through a file.
    """

    def __init__(self) -> None:
        self.spilled = 0
        self._changed = Condition()
        self._waiting: deque[bytes] = deque()
        self._failure: BaseException | None = None
        self._ended = False
        self._abandoned = False

    @abstractmethod
    def put(self, chunk: bytes) -> bool:
        """Leave ``chunk``; whether anybody still wants more."""

    @abstractmethod
    def take(self) -> bytes | None:
        """What comes next, waiting for it; None at the end. Raises what the upstream raised."""

    def end(self, failure: BaseException | None = None) -> None:
        """Nothing more will be put: the upstream ended, or failed."""
        with self._changed:
            self._ended, self._failure = True, failure
            self._changed.notify()

    def abandon(self) -> None:
        """Nothing more will be taken."""
        with self._changed:
            self._abandoned = True
            self._changed.notify()

    def close(self) -> None:
        """Both sides are done: let go of what still waits."""
        self._waiting.clear()

    def _await(self, filled: Callable[[], bool]) -> None:
        """The consumer's wait, holding the condition."""
        self._changed.wait_for(lambda: self._ended or filled())
        if self._failure is not None:
            raise self._failure


class _Shelf(_Room):
    """Room for ``depth`` chunks; putting waits for it."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self._depth = depth

    def put(self, chunk: bytes) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._abandoned or len(self._waiting) < self._depth)
            self._waiting.append(chunk)
            self._changed.notify()
            return not self._abandoned

    def take(self) -> bytes | None:
        with self._changed:
            self._await(lambda: bool(self._waiting))
            chunk = self._waiting.popleft() if self._waiting else None
            self._changed.notify()
            return chunk


class _Store(_Room):
    """Room for ``memory`` bytes, then for as many as a file holds; putting never waits for taking.

    What is in memory is always older than what is in the file: memory is used only while the file is empty. The
    file is written and read outside the lock, each end by its own thread, and emptied only by the writing one.
    """

    def __init__(self, memory: int, disk: int | None) -> None:
        super().__init__()
        self._free = memory
        self._disk = disk
        self._file: BinaryIO | None = None
        self._read = 0
        self._written = 0

    def put(self, chunk: bytes) -> bool:
        with self._changed:
            if self._abandoned:
                return False
            drained = self._read == self._written
            if drained and len(chunk) <= self._free:
                self._free -= len(chunk)
                self._waiting.append(chunk)
                self._changed.notify()
                return True
        self._spill(chunk, afresh=drained)
        with self._changed:
            self._written += len(chunk)
            self._changed.notify()
            return True

    def take(self) -> bytes | None:
        with self._changed:
            self._await(lambda: bool(self._waiting) or self._read < self._written)
            if self._waiting:
                chunk = self._waiting.popleft()
                self._free += len(chunk)
                return chunk
            size = min(PIECE, self._written - self._read)
        if self._file is None or not size:
            return None
        chunk = os.pread(self._file.fileno(), size, self._read)
        with self._changed:
            self._read += len(chunk)
        return chunk

    def close(self) -> None:
        super().close()
        if self._file is not None:
            self._file.close()

    def _spill(self, chunk: bytes, *, afresh: bool) -> None:
        """Write ``chunk`` behind what is in the file, or into the emptied file. Raises SpoolFull."""
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - close() closes it
            if afresh:
                self._file.truncate(0)
                with self._changed:
                    self._read = self._written = 0
            if self._disk is not None and self._written + len(chunk) > self._disk:
                raise SpoolFull(f"the spool file would grow past its bound of {self._disk} bytes")
            _write_all(self._file.fileno(), chunk, self._written)
        except OSError as problem:
            if problem.errno not in FULL:
                raise
            raise SpoolFull("the spool file cannot grow", detail=problem.strerror or "") from problem
        self.spilled += len(chunk)


FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.ENOENT})
"""The disk, a quota, a file size limit; and what tempfile says where it finds no folder that can be written to."""


def _write_all(descriptor: int, chunk: bytes, offset: int) -> None:
    view = memoryview(chunk)
    while view:
        done = os.pwrite(descriptor, view, offset)
        view = view[done:]
        offset += done

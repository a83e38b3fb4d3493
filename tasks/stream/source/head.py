"""What an RDB announces before its first key: enough to tell whose it is.

Right after its general fields an RDB names its first database and how many keys, and keys that expire, come with it
(rdb.c, rdbSaveDb). At a fork these are the figures that INFO keyspace gave in the same breath.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from tasks.stream.meter import MAGIC_SIZE

__all__ = ["HEAD", "fits"]

HEAD = 65_536
"""Bytes to look at. The general fields take some 150; the functions and modules that may follow have no bound."""

LZF = 3
MODULE_FIELDS = {1: 0, 2: 0, 3: 4, 4: 8}
"""Bytes of what a module's field holds beside numbers in their own spelling, by kind: two integers, float, double."""
MODULE_STRING = 5


class Opcode(IntEnum):
    """rdb.h, RDB_OPCODE_..."""

    FUNCTION2 = 0xF5
    MODULE_AUX = 0xF7
    AUX = 0xFA
    RESIZEDB = 0xFB
    SELECTDB = 0xFE
    EOF = 0xFF


class _Unfinished(Exception):
    """It goes on past the bytes that are there."""


class _Unknown(Exception):
    """Something stands there that this reader does not know."""


def fits(head: bytes, keys: Mapping[str, int], expires: Mapping[str, int]) -> bool | None:
    """Whether an RDB that begins so can be of a server with those keys; None where more of it must be written first.

    Where this reader does not understand it, nothing speaks against it.

    >>> redis = b"REDIS0011" + bytes((Opcode.AUX, 1)) + b"k" + bytes((1,)) + b"v"
    >>> three = redis + bytes((Opcode.SELECTDB, 0, Opcode.RESIZEDB, 3, 1))
    >>> fits(three, {"0": 3}, {"0": 1}), fits(three, {"0": 4}, {"0": 1}), fits(three[:-1], {"0": 3}, {"0": 1})
    (True, False, None)
    >>> empty = redis + bytes((Opcode.EOF,))
    >>> fits(empty, {}, {}), fits(empty, {"0": 3}, {"0": 0})
    (True, False)
    """
    first = min(keys, key=int, default=None)
    wanted = None if first is None else (int(first), keys[first], expires[first])
    try:
        return _Head(head).first_database() == wanted
    except _Unfinished:
        return None if len(head) < HEAD else True
    except _Unknown:
        return True


class _Head:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def first_database(self) -> tuple[int, int, int] | None:
        """Its number, keys and expires; None where there is none."""
        self._take(MAGIC_SIZE)
        while True:
            match self._byte():
                case Opcode.AUX:
                    self._string()
                    self._string()
                case Opcode.FUNCTION2:
                    self._string()
                case Opcode.MODULE_AUX:
                    self._module()
                case Opcode.SELECTDB:
                    number = self._length()
                    if self._byte() != Opcode.RESIZEDB:
                        raise _Unknown
                    return number, self._length(), self._length()
                case Opcode.EOF:
                    return None
                case _:
                    raise _Unknown

    def _module(self) -> None:
        self._length()
        while kind := self._length():
            if kind == MODULE_STRING:
                self._string()
            elif kind in MODULE_FIELDS:
                self._take(MODULE_FIELDS[kind])
                if not MODULE_FIELDS[kind]:
                    self._length()
            else:
                raise _Unknown

    def _string(self) -> None:
        first = self._data[self._at : self._at + 1]
        if first and first[0] >> 6 == 3:
            self._special(self._byte() & 0x3F)
        else:
            self._take(self._length())

    def _special(self, encoding: int) -> None:
        """An integer of 1, 2 or 4 bytes, or a string that the server compressed."""
        if encoding < LZF:
            self._take(1 << encoding)
        elif encoding == LZF:
            compressed = self._length()
            self._length()
            self._take(compressed)
        else:
            raise _Unknown

    def _length(self) -> int:
        """A number as rdb.c spells it (rdbLoadLenByRef): 6 or 14 bits, or 32 or 64 behind a byte of their own."""
        first = self._byte()
        match first >> 6:
            case 0:
                return first
            case 1:
                return (first & 0x3F) << 8 | self._byte()
        if first not in (0x80, 0x81):
            raise _Unknown
        return int.from_bytes(self._take(4 if first == 0x80 else 8), "big")

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise _Unfinished
        self._at += count
        return taken

r"""What an archive's plaintext looks like, written and read. docs/tidy.md says it for other readers.

    {"format":"redkeep-tidied","version":1}\n
    {"db":0,"expires":null,"key":9,"payload":31,"rule":"old sessions","type":"string"}\n<key><payload>\n
    ...
    {"end":true,"records":1}\n

A header is one line of JSON that says how many bytes of key and of payload follow it. The payload is what the server's
own DUMP gave and RESTORE takes. Without the last line it is cut; whatever comes after that line is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from tasks.errors import ArchiveInvalid
from tasks.stream.shape import owned

__all__ = ["LONGEST_KEY", "LONGEST_PAYLOAD", "LONGEST_SEGMENT", "Record", "framed", "records"]

FORMAT, VERSION = "redkeep-tidied", 1
LONGEST_LINE = 4096
LONGEST_NAME = 256
"""Characters of a rule's name and of a type that are written down."""
LONGEST_KEY = 2**20
LONGEST_PAYLOAD = 64 * 2**20
LONGEST_SEGMENT = 128 * 2**20
"""Bytes of a key, of a payload, and of all of them in a segment; a reader refuses more before it sets anything
aside."""


@dataclass(frozen=True, slots=True)
class Record:
    """One key as it was.

    Attributes:
        payload: as DUMP gave it.
        expires: milliseconds since 1970; None: never.
    """

    database: int
    key: bytes
    payload: bytes
    expires: int | None
    type: str
    rule: str

    @property
    def version(self) -> int:
        """The RDB version of the payload: two bytes before its checksum (cluster.c, createDumpPayload)."""
        return int.from_bytes(self.payload[-10:-8], "little")


# -- writing -----------------------------------------------------------------------------------------------


def framed(wanted: Iterable[Record]) -> Iterator[bytes]:
    """The records as bytes; the last line comes only after the last record."""
    number = 0
    yield _line({"format": FORMAT, "version": VERSION})
    for record in wanted:
        yield header(record)
        yield record.key
        yield record.payload
        yield b"\n"
        number += 1
    yield _line({"end": True, "records": number})


def header(record: Record) -> bytes:
    told = {"db": record.database, "expires": record.expires, "rule": record.rule[:LONGEST_NAME]}
    lengths = {"key": len(record.key), "payload": len(record.payload), "type": record.type[:LONGEST_NAME]}
    return _line(told | lengths)


def _line(told: dict[str, Any]) -> bytes:
    return json.dumps(told, sort_keys=True, separators=(",", ":")).encode() + b"\n"


# -- reading -----------------------------------------------------------------------------------------------


def records(chunks: Iterator[bytes]) -> Iterator[Record]:
    """What `framed` was given. The chunks are of any length; they are closed at the end.

    Raises:
        ArchiveInvalid: it is something else, or cut. What was given out before that is not to be trusted.
    """
    with owned(chunks):
        source = _Source(chunks)
        if source.line() != {"format": FORMAT, "version": VERSION}:
            raise ArchiveInvalid("not an archive of tidied keys, or of a newer format")
        number = 0
        while "end" not in (told := source.line()):
            yield _record(told, source)
            number += 1
        if told != {"end": True, "records": number} or source.more():
            raise ArchiveInvalid("the archive does not end as it says")


def _record(told: dict[str, Any], source: _Source) -> Record:
    database = _number(told, "db", 2**31)
    key = _number(told, "key", LONGEST_KEY)
    payload = _number(told, "payload", LONGEST_PAYLOAD)
    expires = None if told.get("expires", 0) is None else _number(told, "expires", 2**63 - 1)
    texts = [told.get(field) for field in ("type", "rule")]
    if len(told) != FIELDS or not all(isinstance(each, str) for each in texts):
        raise ArchiveInvalid("not a record of an archive")
    found = Record(database, source.take(key), source.take(payload), expires, *map(str, texts))
    if source.take(1) != b"\n":
        raise ArchiveInvalid("a record of the archive does not end where it should")
    return found


FIELDS = 6


def _number(told: dict[str, Any], field: str, most: int) -> int:
    value = told.get(field)
    if type(value) is not int or not 0 <= value <= most:
        raise ArchiveInvalid("not a record of an archive", detail=f"{field} is not a number up to {most}")
    return value


class _Source:
    """Bytes taken off the front of a stream; it holds what was asked for and one chunk."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._held = bytearray()
        self._at = 0

    def line(self) -> dict[str, Any]:
        end = -1
        while (end := self._held.find(b"\n", self._at, self._at + LONGEST_LINE)) < 0:
            if len(self._held) - self._at >= LONGEST_LINE or not self._grow():
                raise ArchiveInvalid("the archive is cut, or no archive", detail="a line does not end")
        text = self._held[self._at : end]
        self._at = end + 1
        try:
            told = json.loads(text)
        except (ValueError, RecursionError):
            told = None
        if not isinstance(told, dict):
            raise ArchiveInvalid("not an archive", detail="a line that is no JSON object")
        return told

    def take(self, length: int) -> bytes:
        while len(self._held) - self._at < length:
            if not self._grow():
                raise ArchiveInvalid("the archive is cut in the middle of a record")
        found = bytes(self._held[self._at : self._at + length])
        self._at += length
        return found

    def more(self) -> bool:
        """Whether anything is left."""
        while len(self._held) == self._at:
            if not self._grow():
                return False
        return True

    def _grow(self) -> bool:
        chunk = next(self._chunks, None)
        if chunk is None:
            return False
        del self._held[: self._at]
        self._at = 0
        self._held += chunk
        return True

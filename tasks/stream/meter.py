"""Measuring in passing: what went by, and whether it was a whole RDB. Totals are read after the end."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator

import anycrc  # type: ignore[import-untyped]

from tasks.errors import SnapshotCorrupt, SnapshotTruncated
from tasks.stream.shape import owned

__all__ = ["Meter", "RdbMeter"]

MAGIC_SIZE = 9
MAGIC = re.compile(rb"(REDIS)(\d{4})|(VALKEY)(\d{3})")
"""The first nine bytes: Redis, and Valkey up to 8 (rdb.c, rdbSaveRio); Valkey from 9 on."""
TRAILER_SIZE = 8
"""The CRC64 of all before it, little-endian; zero where the server has ``rdbchecksum no`` (rdb.c, rdbSaveRio)."""
EOF_OPCODE = 0xFF
"""The byte before the trailer (rdb.h, RDB_OPCODE_EOF)."""
CRC64 = anycrc.Model("CRC64-REDIS")
"""Jones' polynomial as in Redis' crc64.c. It keeps no state: each call is given the sum so far. It holds the GIL, but
at 10 GB/s: a tenth of a millisecond for a chunk of 1 MiB."""

OnBytes = Callable[[int], None]


class Meter:
    """Counts and hashes what passes through it; measures one stream.

    Attributes:
        size: bytes that passed so far.
    """

    def __init__(self, on_bytes: OnBytes | None = None) -> None:
        """``on_bytes`` is called with each chunk's length before the chunk is passed on; it may raise."""
        self.size = 0
        self._on_bytes = on_bytes
        self._digest = hashlib.sha256()
        self._ended = False

    @property
    def sha256(self) -> str:
        """64 hex digits over everything. Raises RuntimeError before the end."""
        self._require_end()
        return self._digest.hexdigest()

    def through(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """The same chunks."""
        with owned(chunks):
            for chunk in chunks:
                self._see(chunk)
                if self._on_bytes is not None:
                    self._on_bytes(len(chunk))
                yield chunk
            self._see_end()
            self._ended = True

    def _see(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.size += len(chunk)

    def _see_end(self) -> None:
        """The source ended by itself; what is raised here stands in place of that end."""

    def _require_end(self) -> None:
        if not self._ended:
            raise RuntimeError("a meter was read before its stream had ended")


class RdbMeter(Meter):
    """A meter whose stream ends only if it was one whole RDB file, so that nothing downstream can look complete.

    ``through`` raises SnapshotCorrupt as soon as the first nine bytes are no RDB's; and in place of the end
    SnapshotTruncated where the EOF opcode is not where it belongs, SnapshotCorrupt where the trailer does not match.

    Attributes:
        vendor: ``redis`` or ``valkey``, by the magic (Valkey up to 8 writes Redis' own); empty before it was seen.
        rdb_version: the number in the magic; 0 before it was seen.
    """

    def __init__(self, on_bytes: OnBytes | None = None, *, checksum_off: bool = False) -> None:
        """``checksum_off``: the server says ``rdbchecksum no``, so a trailer of zeros is not held against it."""
        super().__init__(on_bytes)
        self.vendor = ""
        self.rdb_version = 0
        self._checksum_off = checksum_off
        self._magic = b""
        self._crc = 0
        self._last = -1
        self._trailer = b""

    @property
    def crc64(self) -> str | None:
        """The checksum as 16 hex digits, None where the server wrote none. Raises RuntimeError before the end."""
        self._require_end()
        return f"{self._crc:016x}" if any(self._trailer) else None

    def _see(self, chunk: bytes) -> None:
        super()._see(chunk)
        if not self.vendor:
            self._see_magic(chunk)
        if len(chunk) < TRAILER_SIZE:
            chunk = self._trailer + chunk
        else:
            self._sum(self._trailer)
        self._sum(memoryview(chunk)[:-TRAILER_SIZE])
        self._trailer = chunk[-TRAILER_SIZE:]

    def _see_magic(self, chunk: bytes) -> None:
        self._magic += chunk[: MAGIC_SIZE - len(self._magic)]
        if len(self._magic) < MAGIC_SIZE:
            return
        found = MAGIC.fullmatch(self._magic)
        if found is None:
            raise SnapshotCorrupt("it does not begin as an RDB file does")
        vendor, version = filter(None, found.groups())
        self.vendor, self.rdb_version = vendor.decode().lower(), int(version)

    def _sum(self, body: bytes | memoryview) -> None:
        """Take ``body`` into the checksum: everything but what may still turn out to be the trailer."""
        if body:
            self._crc = CRC64.calc(body, self._crc)
            self._last = body[-1]

    def _see_end(self) -> None:
        if not self.vendor or self._last != EOF_OPCODE:
            raise SnapshotTruncated(f"the RDB ends after {self.size} bytes without its end mark")
        if self._checksum_off and not any(self._trailer):
            return
        if int.from_bytes(self._trailer, "little") != self._crc:
            found = "none was written" if not any(self._trailer) else "it does not match"
            raise SnapshotCorrupt("the RDB's checksum is wrong", detail=f"{found}, after {self.size} bytes")

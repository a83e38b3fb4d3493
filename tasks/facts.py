"""What is known of one key, as it was found at one look. Nothing here asks a server."""

from __future__ import annotations

import math
from typing import NamedTuple

__all__ = ["NEEDS", "NEVER", "KeyFacts", "shown"]

NEVER = math.inf
"""The `ttl` of a key that does not expire."""
NEEDS = frozenset({"type", "ttl", "idle", "freq", "bytes", "elements"})
"""The facts that cost a look; who asks for a key's facts names those it needs."""


class KeyFacts(NamedTuple):
    """A key and its facts; None where one was not looked for, or this server or type has none. A tuple, since millions
    of them are made: a frozen class took four times as long.

    Attributes:
        key: as the server has it; a key need not be text.
        type: as TYPE says it, so a module's own types too.
        ttl: seconds left, or `NEVER`.
        idle: seconds since it was last used; kept under every eviction policy but the LFU ones.
        freq: the LFU counter, 0 to 255; kept under the LFU policies only.
        bytes: as MEMORY USAGE estimates them from five of the key's elements.
        elements: of a list, hash, set, sorted set or stream.
    """

    database: int
    key: bytes
    type: str | None = None
    ttl: float | None = None
    idle: float | None = None
    freq: int | None = None
    bytes: int | None = None
    elements: int | None = None


def shown(key: bytes) -> str:
    r"""A key as it may be printed: one line, and whatever is no text or not to be seen is escaped.

    >>> print(shown("käse:1".encode()), shown(b"\xff\x00raw\n"), shown(b"a\\b"))
    käse:1 \xff\x00raw\n a\\b
    """
    text = key.replace(b"\\", b"\\\\").decode("utf-8", "backslashreplace")
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)

"""Redis' own glob, on bytes: what SCAN MATCH would say of a key, said here.

Byte for byte as the server's `stringmatchlen` (util.c; redis.io/commands/keys): ``*``, ``?``, ``[abc]``, ``[a-z]``,
``[^a]``, and a backslash before whatever is meant as itself. Case counts. A key need not be text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

__all__ = ["Glob", "any_of"]


class Glob:
    """One pattern.

    >>> Glob("session:*").matches(b"session:\\xff\\n"), Glob("h[^a-c]llo?").matches(b"hallo!")
    (True, False)

    Attributes:
        pattern: as it was written.
        prefix: the bytes that every key begins with that it matches.
        plain: it matches exactly what begins so.

    Raises:
        ValueError: a bracket that is not closed or takes nothing, a backslash before nothing, a range with bytes above
            127 (which server takes them for negative numbers depends on its processor).
    """

    __slots__ = ("expression", "matches", "pattern", "plain", "prefix")
    matches: Callable[[bytes], bool]
    """Whether a key is called so."""

    def __init__(self, pattern: str) -> None:
        pieces = list(_pieces(pattern.encode()))
        literal = next((at for at, piece in enumerate(pieces) if not isinstance(piece, int)), len(pieces))
        self.pattern = pattern
        self.prefix = bytes(piece for piece in pieces[:literal] if isinstance(piece, int))
        self.plain = pieces[literal:] == [STAR]
        self.expression = b".*" if pattern == "*" else _expression(pieces)
        compiled = re.compile(self.expression, re.DOTALL).fullmatch
        self.matches = lambda key: compiled(key) is not None

    def __repr__(self) -> str:
        return f"Glob({self.pattern!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Glob) and other.pattern == self.pattern

    def __hash__(self) -> int:
        return hash(self.pattern)


def any_of(globs: tuple[Glob, ...]) -> re.Pattern[bytes]:
    """One expression for them all; `fullmatch` says whether any matches. Of none, it matches nothing."""
    return re.compile(b"|".join(b"(?:%b)" % each.expression for each in globs) or rb"(?!)", re.DOTALL)


# -- how ---------------------------------------------------------------------------------------------------

STAR = b"*"
Piece = int | bytes
"""A byte that stands for itself, `STAR`, or the expression for one byte."""


def _pieces(pattern: bytes) -> Iterator[Piece]:
    at = 0
    while at < len(pattern):
        byte = pattern[at : at + 1]
        at += 1
        if byte == b"*":
            if pattern[at : at + 1] != b"*":  # several are one
                yield STAR
        elif byte == b"?":
            yield b"."
        elif byte == b"[":
            piece, at = _bracket(pattern, at)
            yield piece
        elif byte == b"\\":
            if at == len(pattern):
                raise ValueError("a glob ends in a backslash; write \\\\ for the character itself")
            yield pattern[at]
            at += 1
        else:
            yield byte[0]


def _bracket(pattern: bytes, at: int) -> tuple[bytes, int]:
    """The expression for a bracket's content, and where the pattern goes on behind it."""
    negated = pattern[at : at + 1] == b"^"
    at += negated
    taken: list[bytes] = []
    while pattern[at : at + 1] != b"]":
        rest = len(pattern) - at
        if rest < 2:
            raise ValueError("a glob has a [ without its ]; write \\[ for the character itself")
        if pattern[at] == ord("\\"):
            taken.append(_class(pattern[at + 1]))
            at += 2
        elif rest >= 3 and pattern[at + 1] == ord("-"):
            low, high = sorted((pattern[at], pattern[at + 2]))
            if high > 127:
                raise ValueError("a glob has a range that is not of ASCII characters")
            taken.append(_class(low) + b"-" + _class(high))
            at += 3
        else:
            taken.append(_class(pattern[at]))
            at += 1
    if not taken:
        raise ValueError("a glob has empty brackets, which match nothing or anything")
    return b"[" + b"^" * negated + b"".join(taken) + b"]", at + 1


def _class(byte: int) -> bytes:
    return b"\\x%02x" % byte


def _expression(pieces: list[Piece]) -> bytes:
    """As a regular expression. What stands between two stars is taken where it first fits and never given back, as in
    the standard library's fnmatch; so no name makes it slow."""
    runs: list[bytes] = [b""]
    for piece in pieces:
        if piece == STAR:
            runs.append(b"")
        else:
            runs[-1] += re.escape(bytes([piece])) if isinstance(piece, int) else piece
    if len(runs) == 1:
        return runs[0]
    first, *middle, last = runs
    body = first + b"".join(b"(?>.*?%b)" % run for run in middle) + b".*" + last
    return body if any(runs) else b"." + body  # only a single star alone matches an empty name

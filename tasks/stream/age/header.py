"""The text before the payload: a version line, stanzas, a MAC (age spec, "ABNF definition of file header").

Reading is strict and bounded: what the grammar does not produce is refused, and so is a header of more than 64 KiB
(an X25519 stanza takes 99 bytes, so that is room for some 600 recipients; a post-quantum one takes 1.6 KB).
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import Error as NotBase64
from binascii import a2b_base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tasks.errors import AgeHeaderInvalid, KeyInvalid

__all__ = ["MAX_HEADER", "Header", "Stanza", "authenticate", "parse", "read", "unbase64", "write"]

MAX_HEADER = 64 << 10
"""Bytes of the longest header that is written or read."""
VERSION_LINE = b"age-encryption.org/v1"
TELLING = 64
"""Bytes after which it is clear whether the version line stands there, or what stands there instead."""
COLUMNS = 64
"""Characters of a full body line; the first shorter one, perhaps empty, ends the body."""
MAC_SIZE = 32
END = b"\n---"
ARGUMENT = re.compile(rb"[\x21-\x7e]+")


@dataclass(frozen=True)
class Stanza:
    """One wrapping of the file key: arguments as they stand (the first says the kind), and the decoded body."""

    arguments: tuple[bytes, ...]
    body: bytes

    @classmethod
    def of(cls, kind: str, *arguments: bytes, body: bytes) -> Stanza:
        """A stanza of our own making; ``arguments`` are raw and get encoded."""
        return cls((kind.encode(), *map(_base64, arguments)), body)

    def lines(self) -> Iterator[bytes]:
        text = _base64(self.body)
        yield b" ".join((b"->", *self.arguments))
        for start in range(0, len(text) + 1, COLUMNS):
            yield text[start : start + COLUMNS]


@dataclass(frozen=True)
class Header:
    """What stands in a header. ``covered`` are the bytes that ``mac`` is computed over."""

    stanzas: tuple[Stanza, ...]
    covered: bytes
    mac: bytes


def write(stanzas: Sequence[Stanza], file_key: bytes) -> bytes:
    """The header's bytes. Raises KeyInvalid for no stanza at all, or for more of them than fit the bound."""
    if not stanzas:
        raise KeyInvalid("no recipient to encrypt to")
    covered = b"\n".join((VERSION_LINE, *chain.from_iterable(stanza.lines() for stanza in stanzas), b"---"))
    whole = covered + b" " + _base64(_mac(covered, file_key).finalize()) + b"\n"
    if len(whole) > MAX_HEADER:
        raise KeyInvalid(f"{len(stanzas)} recipients are more than a header of {MAX_HEADER} bytes holds")
    return whole


def read(chunks: Iterator[bytes]) -> tuple[Header, Iterator[bytes]]:
    """The header, and the iterator of everything after it. Raises AgeHeaderInvalid.

    Takes no more chunks than it needs to see the header's end, or that it has none within the bound.
    """
    held = bytearray()
    end = 0
    for chunk in chunks:
        held += chunk
        end = _end(held)
        if end or len(held) > MAX_HEADER or (len(held) >= TELLING and not _is_age(held)):
            break
    if not 0 < end <= MAX_HEADER:
        raise _no_header(held)
    return parse(bytes(held[:end])), chain((bytes(memoryview(held)[end:]),), chunks)


def parse(text: bytes) -> Header:
    """A whole header, from its version line to the line feed after its MAC. Raises AgeHeaderInvalid."""
    lines = text.split(b"\n")
    if len(lines) < 3 or lines[0] != VERSION_LINE or lines[-1] != b"":
        raise _no_header(text)
    label, _, mac_text = lines[-2].partition(b" ")
    mac = unbase64(mac_text)
    if label != b"---" or mac is None or len(mac) != MAC_SIZE:
        raise AgeHeaderInvalid("the header's last line is not a MAC")
    stanzas = tuple(_stanzas(lines[1:-2]))
    if not stanzas:
        raise AgeHeaderInvalid("the header has no stanza")
    if len(stanzas) > 1 and any(stanza.arguments[0] == b"scrypt" for stanza in stanzas):
        raise AgeHeaderInvalid("a passphrase stanza stands beside others, which the specification forbids")
    return Header(stanzas, text[: text.rindex(END) + len(END)], mac)


def authenticate(header: Header, file_key: bytes) -> None:
    """Raises AgeHeaderInvalid unless whoever wrote the header had the file key."""
    try:
        _mac(header.covered, file_key).verify(header.mac)
    except InvalidSignature:
        raise AgeHeaderInvalid("the header was changed: its MAC does not match") from None


def unbase64(text: bytes) -> bytes | None:
    """Decoded, or None unless it is base64 without padding in its only canonical form (RFC 4648, 3.5)."""
    try:
        decoded = a2b_base64(text + b"=" * (-len(text) % 4), strict_mode=True)
    except NotBase64:
        return None
    return decoded if _base64(decoded) == text else None


def _base64(raw: bytes) -> bytes:
    return b64encode(raw).rstrip(b"=")


def _mac(covered: bytes, file_key: bytes) -> HMAC:
    key = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"header").derive(file_key)
    mac = HMAC(key, SHA256())
    mac.update(covered)
    return mac


def _stanzas(lines: Sequence[bytes]) -> Iterator[Stanza]:
    pending = iter(lines)
    for line in pending:
        mark, *arguments = line.split(b" ")
        if mark != b"->" or not arguments or not all(map(ARGUMENT.fullmatch, arguments)):
            raise AgeHeaderInvalid("a stanza's first line has another form than the specification gives it")
        yield Stanza(tuple(arguments), _body(pending))


def _body(lines: Iterator[bytes]) -> bytes:
    """The decoded body: full lines, and the short one that ends it."""
    text = bytearray()
    for line in lines:
        text += line
        if len(line) < COLUMNS:
            body = unbase64(bytes(text))
            if body is not None:
                return body
            break
        if len(line) > COLUMNS:
            break
    raise AgeHeaderInvalid("a stanza's body is not base64 in lines of 64 columns, the last one shorter")


def _end(held: bytearray) -> int:
    """Where the payload begins, or 0 while that is not seen: no line but the MAC's can begin with ``---``."""
    mark = held.find(END)
    return held.find(b"\n", mark + len(END)) + 1 if mark >= 0 else 0


def _is_age(held: bytes | bytearray) -> bool:
    return held.startswith(VERSION_LINE + b"\n")


def _no_header(held: bytes | bytearray) -> AgeHeaderInvalid:
    if _is_age(held):
        return AgeHeaderInvalid(f"the header does not end within {min(len(held), MAX_HEADER)} bytes")
    if held.startswith(b"-----BEGIN AGE ENCRYPTED FILE-----"):
        return AgeHeaderInvalid("an armored age file", hint="Open it with stock `age -d`, which takes the armor off.")
    if held.startswith(b"age-encryption.org/"):
        return AgeHeaderInvalid("an age file of another version than v1, or one cut off in its first line")
    return AgeHeaderInvalid("it does not begin as an age file does")

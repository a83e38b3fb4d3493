"""The head of an RDB, as rdb.c spells it: every number's width, every field that may come before the first database."""

from __future__ import annotations

import struct

import pytest

from tasks.stream.source.head import HEAD, fits

MAGIC = b"REDIS0012"
AUX = b"\xfa\x09redis-ver\x058.2.3" + b"\xfa\x0aredis-bits\xc0\x40" + b"\xfa\x05ctime\xc2\x00\x01\x02\x03"
FUNCTION = b"\xf5\x04code" + b"\xf5\xc3\x05\x40\xc8LZFed"
MODULE_FIELDS = b"\x01\x05" + b"\x02\x06" + b"\x03" + bytes(4) + b"\x04" + bytes(8) + b"\x05\x03abc" + b"\x00"
MODULE = b"\xf7\x81" + struct.pack(">Q", 0x1234567890ABCDEF) + b"\x02\x01" + MODULE_FIELDS


def database(number: int, keys: bytes, expires: bytes) -> bytes:
    return b"\xfe" + bytes((number,)) + b"\xfb" + keys + expires


@pytest.mark.parametrize(
    ("spelled", "number"),
    [
        (b"\x00", 0),
        (b"\x3f", 63),
        (b"\x40\x40", 64),
        (b"\x7f\xff", 16_383),
        (b"\x80" + struct.pack(">I", 16_384), 16_384),
        (b"\x81" + struct.pack(">Q", 5_000_000_000), 5_000_000_000),
    ],
)
@pytest.mark.parametrize("before", [b"", AUX, AUX + FUNCTION, AUX + MODULE + FUNCTION])
def test_the_first_database_is_found_behind_whatever_stands_before_it(
    spelled: bytes, number: int, before: bytes
) -> None:
    head = MAGIC + before + database(3, spelled, b"\x01") + b"\x00\x03key\x05value"
    assert fits(head, {"3": number, "12": 9}, {"3": 1, "12": 0}) is True
    assert fits(head, {"3": number + 1, "12": 9}, {"3": 1, "12": 0}) is False
    assert fits(head, {"3": number}, {"3": 0}) is False
    assert fits(head, {"2": number}, {"2": 1}) is False
    assert fits(head, {}, {}) is False


def test_every_shorter_beginning_of_it_says_nothing_yet() -> None:
    head = MAGIC + AUX + MODULE + FUNCTION + database(0, b"\x05", b"\x01")
    for length in range(len(head)):
        assert fits(head[:length], {"0": 5}, {"0": 1}) is None
        assert fits(head[:length], {"0": 6}, {"0": 1}) is None


@pytest.mark.parametrize(
    "unknown", [b"\xf4\x01\x02\x03", b"\x00\x03key\x05value", b"\xf7\x01\x02\x01\x09", b"\xfa\xc9"]
)
def test_what_this_reader_does_not_know_is_not_held_against_it(unknown: bytes) -> None:
    assert fits(MAGIC + AUX + unknown, {"0": 5}, {"0": 1}) is True


def test_a_head_without_an_end_is_not_held_against_it() -> None:
    functions = MAGIC + b"\xf5\x80" + struct.pack(">I", HEAD) + bytes(HEAD)
    assert fits(functions[: HEAD - 1], {"0": 5}, {"0": 1}) is None
    assert fits(functions[:HEAD], {"0": 5}, {"0": 1}) is True

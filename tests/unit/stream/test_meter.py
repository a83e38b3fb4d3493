"""Measuring, and what may end as an RDB."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from tasks.errors import SnapshotCorrupt, SnapshotTruncated
from tasks.stream.meter import Meter, RdbMeter

STEPS = (1, 2, 7, 8, 9, 10, 17, 1000, 1 << 20)


def crc64(data: bytes) -> int:
    """Bit by bit, from the polynomial's definition in Redis' crc64.c."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x95AC9329AC4BC9B5 if crc & 1 else 0)
    return crc


def rdb(magic: bytes = b"REDIS0011", body: bytes = b"\xfa\x09redis-ver\x057.2.4" * 40, end: bytes = b"\xff") -> bytes:
    covered = magic + body + end
    return covered + crc64(covered).to_bytes(8, "little")


def cut(data: bytes, step: int) -> Iterator[bytes]:
    return (data[start : start + step] for start in range(0, len(data), step))


def measured(data: bytes, step: int = 100, *, checksum_off: bool = False) -> RdbMeter:
    meter = RdbMeter(checksum_off=checksum_off)
    assert b"".join(meter.through(cut(data, step))) == data
    return meter


def test_the_polynomial_is_the_one_that_redis_tests_itself_with() -> None:
    assert crc64(b"123456789") == 0xE9C6D914C4B8D9CA  # crc64.c, crc64Test


@pytest.mark.parametrize("step", STEPS)
def test_a_meter_counts_and_hashes(step: int) -> None:
    data = bytes(range(256)) * 9
    meter = Meter()
    assert b"".join(meter.through(cut(data, step))) == data
    assert (meter.size, meter.sha256) == (len(data), hashlib.sha256(data).hexdigest())


def test_a_digest_is_not_to_be_had_before_the_end() -> None:
    meter = Meter()
    stage = meter.through(iter([b"a", b"b"]))
    assert next(stage) == b"a"
    assert meter.size == 1
    with pytest.raises(RuntimeError):
        _ = meter.sha256
    assert list(stage) == [b"b"]
    assert meter.sha256 == hashlib.sha256(b"ab").hexdigest()


def test_every_chunk_is_reported_before_it_is_passed_on() -> None:
    seen: list[int] = []
    stage = Meter(seen.append).through(iter([b"abc", b"", b"de"]))
    assert (next(stage), seen) == (b"abc", [3])
    assert list(stage) == [b"", b"de"]
    assert seen == [3, 0, 2]


def test_what_the_report_raises_ends_the_stream() -> None:
    def stop(_: int) -> None:
        raise LookupError

    stage = Meter(stop).through(iter([b"abc"]))
    with pytest.raises(LookupError):
        next(stage)


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("magic", "vendor", "version"),
    [(b"REDIS0009", "redis", 9), (b"REDIS0012", "redis", 12), (b"VALKEY080", "valkey", 80)],
)
def test_a_whole_rdb_passes_and_says_what_it_is(magic: bytes, vendor: str, version: int, step: int) -> None:
    data = rdb(magic)
    meter = measured(data, step)
    assert (meter.vendor, meter.rdb_version) == (vendor, version)
    assert meter.crc64 == f"{crc64(data[:-8]):016x}"
    assert meter.sha256 == hashlib.sha256(data).hexdigest()


def test_the_smallest_rdb_passes() -> None:
    assert measured(rdb(body=b"")).size == 18


@pytest.mark.parametrize("step", STEPS)
def test_an_rdb_cut_off_anywhere_never_ends(step: int) -> None:
    data = rdb(body=b"\xfa\x01a\x01b")
    for length in range(len(data)):
        meter = RdbMeter()
        with pytest.raises((SnapshotTruncated, SnapshotCorrupt)):
            list(meter.through(cut(data[:length], step)))
        with pytest.raises(RuntimeError):
            _ = meter.crc64


def test_an_rdb_without_its_end_mark_is_called_truncated() -> None:
    with pytest.raises(SnapshotTruncated, match="without its end mark"):
        measured(rdb(end=b"\xfe"))


def test_a_flipped_bit_anywhere_never_ends() -> None:
    data = rdb(body=b"\xfa\x01a\x01b")
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1
        with pytest.raises((SnapshotTruncated, SnapshotCorrupt)):
            list(RdbMeter().through(iter([bytes(changed)])))


@pytest.mark.parametrize("magic", [b"REDIS11", b"redis0011", b"REDIS00x1", b"VALKEY08x", b"\x28\xb5\x2f\xfd"])
def test_what_is_no_rdb_is_refused_before_a_byte_is_passed_on(magic: bytes) -> None:
    stage = RdbMeter().through(iter([rdb(magic)]))
    with pytest.raises(SnapshotCorrupt, match="does not begin"):
        next(stage)


def test_a_zero_trailer_is_accepted_only_where_the_server_writes_none() -> None:
    data = rdb()[:-8] + bytes(8)
    meter = measured(data, checksum_off=True)
    assert meter.crc64 is None
    assert meter.sha256 == hashlib.sha256(data).hexdigest()
    with pytest.raises(SnapshotCorrupt, match="none was written"):
        measured(data)


def test_a_checksum_that_stands_there_is_compared_all_the_same() -> None:
    assert measured(rdb(), checksum_off=True).crc64 is not None
    with pytest.raises(SnapshotCorrupt):
        measured(rdb()[:-8] + b"12345678", checksum_off=True)


def test_a_source_that_dies_is_never_measured_as_whole() -> None:
    def dying() -> Iterator[bytes]:
        yield rdb()
        raise OSError

    meter = RdbMeter()
    with pytest.raises(OSError):  # noqa: PT011 - the source's own
        list(meter.through(dying()))
    with pytest.raises(RuntimeError):
        _ = meter.sha256

"""Bytes that somebody made up: an RDB, its head, a compressed stream, a server's answer to SYNC. Each is read whole or
refused by a named error, in bounded memory, and nothing hangs."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator

import pytest
from anycrc import Model
from hypothesis import given, settings
from hypothesis import strategies as st
from rig.hostile import HostileServer

from tasks.errors import CompressionCorrupt, RedkeepError, SnapshotCorrupt, SnapshotTruncated, SyncRefused
from tasks.server import Server
from tasks.stream import gzip, zstd
from tasks.stream.meter import RdbMeter
from tasks.stream.source.head import fits
from tasks.stream.source.sync import sync

BODY = b"REDIS0011" + b"\xfa\x09redis-ver\x057.2.4" + b"\xfe\x00\xfb\x01\x00" + b"\x00\x03key\x05value" + b"\xff"
RDB = BODY + Model("CRC64-REDIS").calc(BODY).to_bytes(8, "little")
CHANGE = st.tuples(st.integers(0, len(RDB)), st.integers(0, 4), st.binary(max_size=4))
CHANGES = st.lists(CHANGE, min_size=1, max_size=4)
STEPS = st.integers(1, len(RDB))
MARK = b"m" * 40


def changed(text: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for at, gone, put in changes:
        text = text[:at] + put + text[at + gone :]
    return text


def cut(data: bytes, step: int) -> Iterator[bytes]:
    return (data[start : start + step] for start in range(0, len(data), step))


@given(CHANGES, STEPS)
def test_an_rdb_that_was_changed_in_any_way_does_not_end_well(changes: list[tuple[int, int, bytes]], step: int) -> None:
    text, meter = changed(RDB, changes), RdbMeter()
    try:
        list(meter.through(cut(text, step)))
    except (SnapshotCorrupt, SnapshotTruncated):
        return
    assert text == RDB


@given(st.binary(max_size=400) | CHANGES.map(lambda changes: changed(RDB, changes)))
def test_any_head_is_judged_without_an_exception(head: bytes) -> None:
    assert fits(head, {"0": 1}, {"0": 0}) in (True, False, None)


@pytest.mark.parametrize("codec", [zstd, gzip])
@given(noise=st.binary(max_size=300), changes=CHANGES, step=STEPS)
def test_a_compressed_stream_that_was_changed_is_refused_or_the_same(
    codec: object, noise: bytes, changes: list[tuple[int, int, bytes]], step: int
) -> None:
    module = zstd if codec is zstd else gzip
    whole = b"".join(module.compress(iter([RDB]), 1))
    for text in (noise, changed(whole, changes)):
        try:
            got = b"".join(module.decompress(cut(text, step)))
        except CompressionCorrupt:
            continue
        assert got == RDB or text != whole  # zstd's frames carry a checksum, gzip's a CRC32: both only against chance


@pytest.mark.parametrize("codec", [zstd, gzip])
def test_a_stream_that_unpacks_to_hundreds_of_times_its_size_is_given_on_in_pieces(codec: object) -> None:
    module = zstd if codec is zstd else gzip
    bomb = b"".join(module.compress((bytes(1 << 20) for _ in range(256)), 1))
    assert len(bomb) < 2 << 20
    tracemalloc.start()
    try:
        assert sum(map(len, module.decompress(iter([bomb])))) == 256 << 20
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


# -- a server that lies about being one --------------------------------------------------------------------------------


def transferred(answer: bytes) -> bytes:
    """What comes of SYNC where the server answers so and hangs up."""
    with (
        HostileServer(lambda write: write(answer)) as hostile,
        Server(hostile.url, timeout=5) as server,
        sync(server, 5.0, lambda: None) as snapshot,
    ):
        return b"".join(snapshot.chunks)


def test_the_server_made_up_here_is_believed_where_it_behaves() -> None:
    assert transferred(b"\n\n$%d\r\n%s" % (len(RDB), RDB)) == RDB
    assert transferred(b"\n$EOF:%s\r\n%s%s" % (MARK, RDB, MARK)) == RDB


LENGTHS = st.integers(-5, 10**30).map(lambda number: b"$%d\r\n" % number)
HEADERS = LENGTHS | st.just(b"$EOF:" + MARK + b"\r\n") | st.binary(max_size=60) | st.binary(max_size=2000)


@settings(max_examples=60, deadline=None)
@given(HEADERS, st.binary(max_size=300))
def test_whatever_answers_sync_gives_its_bytes_or_a_named_error(header: bytes, body: bytes) -> None:
    try:
        got = transferred(header + body)
    except RedkeepError:
        return
    assert got in header + body


def test_a_header_without_an_end_is_given_up_at_its_bound() -> None:
    def endless(write: Callable[[bytes], None]) -> None:
        while True:  # until we hang up
            write(b"x" * 65_536)

    with (
        HostileServer(endless) as hostile,
        Server(hostile.url, timeout=5) as server,
        pytest.raises(SyncRefused, match="did not answer SYNC"),
        sync(server, 5.0, lambda: None) as snapshot,
    ):
        list(snapshot.chunks)

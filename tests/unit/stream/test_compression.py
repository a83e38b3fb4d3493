"""zstd and gzip: whole frames, nothing after them, bounded memory."""

from __future__ import annotations

import gzip as standard
import random
import zlib
from collections.abc import Callable, Iterator

import pytest
from backports import zstd as library

from tasks.errors import CompressionCorrupt
from tasks.stream import gzip, zstd
from tasks.stream.shape import PIECE

TEXT = b" ".join(b"%x" % random.Random(3).getrandbits(40) for _ in range(4)) * 20_000

Codec = tuple[Callable[[Iterator[bytes]], Iterator[bytes]], Callable[[Iterator[bytes]], Iterator[bytes]]]


@pytest.fixture(params=["zstd", "gzip"])
def codec(request: pytest.FixtureRequest) -> Codec:
    if request.param == "zstd":
        return (lambda chunks: zstd.compress(chunks, 1)), zstd.decompress
    return (lambda chunks: gzip.compress(chunks, 1)), gzip.decompress


def cut(data: bytes, step: int) -> Iterator[bytes]:
    return (data[start : start + step] for start in range(0, len(data), step))


def refused(chunks: Iterator[bytes]) -> str:
    with pytest.raises(CompressionCorrupt) as caught:
        list(chunks)
    return str(caught.value)


def test_no_bytes_at_all_are_no_frame(codec: Codec) -> None:
    assert "no bytes" in refused(codec[1](iter([])))
    assert "no bytes" in refused(codec[1](iter([b"", b""])))


def test_an_empty_frame_is_a_frame(codec: Codec) -> None:
    assert list(codec[1](codec[0](iter([])))) == []


@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
def test_several_frames_on_end_are_all_read(codec: Codec, step: int) -> None:
    parts = [TEXT[:5000], b"", TEXT[5000:5001], TEXT[5001:20_000]]
    whole = b"".join(b"".join(codec[0](iter([part]))) for part in parts)
    assert b"".join(codec[1](cut(whole, step))) == TEXT[:20_000]


@pytest.mark.parametrize("more", [b"\0", b"\0" * 100, b"\n", b"\x28\xb5", b"\x1f\x8b", b"garbage garbage"])
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_anything_after_the_last_frame_is_refused(codec: Codec, more: bytes, step: int) -> None:
    refused(codec[1](cut(b"".join(codec[0](iter([b"abc"]))) + more, step)))


def test_a_frame_cut_off_anywhere_is_refused(codec: Codec) -> None:
    whole = b"".join(codec[0](iter([TEXT[:3000]])))
    for length in range(len(whole)):
        refused(codec[1](iter([whole[:length]])))


def test_a_flipped_bit_in_the_content_is_refused(codec: Codec) -> None:
    whole = b"".join(codec[0](iter([TEXT[:3000]])))
    for place in range(12, len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 4
        refused(codec[1](iter([bytes(changed)])))


def test_what_compresses_a_thousandfold_comes_out_a_piece_at_a_time(codec: Codec) -> None:
    whole = b"".join(codec[0](bytes(PIECE) for _ in range(64)))
    sizes = [len(chunk) for chunk in codec[1](iter([whole]))]
    assert sum(sizes) == 64 * PIECE
    assert max(sizes) <= PIECE


def test_a_zstd_frame_carries_a_checksum() -> None:
    for workers in (0, 1):
        descriptor = next(zstd.compress(iter([TEXT]), 1, workers))[4]
        assert descriptor & 0b100  # RFC 8878, 3.1.1.1.1: Content_Checksum_flag


def test_a_window_of_more_than_128_mib_is_refused() -> None:
    def frame(window_log: int) -> bytes:
        encoder = library.ZstdCompressor(options={library.CompressionParameter.window_log: window_log})
        return encoder.compress(b"x") + encoder.flush()

    assert list(zstd.decompress(iter([frame(27)]))) == [b"x"]
    assert "memory" in refused(zstd.decompress(iter([frame(28)])))


def test_gzip_output_is_the_same_every_time() -> None:
    one, other = (b"".join(gzip.compress(cut(TEXT, 7777), 6)) for _ in range(2))
    assert one == other
    assert one[4:8] == bytes(4)  # RFC 1952, 2.3: MTIME


def test_a_zlib_stream_is_not_gzip() -> None:
    refused(gzip.decompress(iter([zlib.compress(TEXT)])))


def test_the_standard_library_reads_our_gzip() -> None:
    assert standard.decompress(b"".join(gzip.compress(cut(TEXT, 10_001), 9))) == TEXT

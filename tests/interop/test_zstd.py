"""Stock zstd and gzip open what we wrote, and we what they did; and the whole way down by stock tools alone."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.errors import CompressionCorrupt
from tasks.stream import age, gzip, seal, stages_of, unseal, zstd

LENGTHS = (0, 1, (64 << 10) + 1, 1 << 20, (5 << 20) + 3)
TEXT = b"".join(b"session:%x " % random.Random(seed).getrandbits(64) for seed in range(230_000))[: max(LENGTHS)]

Run = Callable[..., bytes]


def cut(data: bytes, step: int = 100_001) -> Iterator[bytes]:
    return (data[start : start + step] for start in range(0, len(data), step))


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize(("level", "workers"), [(1, 0), (1, 1), (3, 2), (12, 1)])
def test_stock_zstd_opens_what_we_wrote(run: Run, length: int, level: int, workers: int) -> None:
    ours = b"".join(zstd.compress(cut(TEXT[:length]), level, workers))
    assert run("zstd", "-d", stdin=ours) == TEXT[:length]


def test_stock_zstd_sees_one_frame_with_a_checksum(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "ours.zst"
    path.write_bytes(b"".join(zstd.compress(cut(TEXT), 1)))
    assert b"XXH64" in run("zstd", "-l", str(path))
    assert b"# Zstandard Frames: 1\n" in run("zstd", "-lv", str(path))


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("options", [["-1"], ["-3", "-T2"], ["--no-check"], ["--long=27"]])
def test_we_open_what_stock_zstd_wrote(run: Run, length: int, options: list[str]) -> None:
    theirs = run("zstd", "-c", *options, stdin=TEXT[:length])
    assert b"".join(zstd.decompress(cut(theirs))) == TEXT[:length]


def test_we_open_the_highest_level_of_stock_zstd(run: Run) -> None:
    assert b"".join(zstd.decompress(cut(run("zstd", "-c", "--ultra", "-22", stdin=TEXT[:9000])))) == TEXT[:9000]


def test_we_open_several_frames_of_stock_zstd(run: Run) -> None:
    theirs = run("zstd", "-c", stdin=TEXT[:100]) + run("zstd", "-c", "-9", stdin=TEXT[100:9000])
    assert b"".join(zstd.decompress(cut(theirs, 7))) == TEXT[:9000]


def test_we_and_stock_zstd_refuse_a_window_that_only_long_allows(run: Run) -> None:
    theirs = run("zstd", "-c", "--long=28", stdin=TEXT)
    with pytest.raises(subprocess.CalledProcessError):
        run("zstd", "-d", stdin=theirs)
    with pytest.raises(CompressionCorrupt, match="memory"):
        list(zstd.decompress(cut(theirs)))


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("level", [1, 6, 9])
def test_stock_gzip_and_we_open_each_others_files(run: Run, length: int, level: int) -> None:
    ours = b"".join(gzip.compress(cut(TEXT[:length]), level))
    assert run("gzip", "-dc", stdin=ours) == TEXT[:length]
    theirs = run("gzip", f"-{level}c", stdin=TEXT[:length])
    assert b"".join(gzip.decompress(cut(theirs))) == TEXT[:length]


def test_we_open_several_members_of_stock_gzip(run: Run) -> None:
    theirs = run("gzip", "-c", stdin=TEXT[:100]) + run("gzip", "-c", stdin=TEXT[100:9000])
    assert b"".join(gzip.decompress(cut(theirs, 7))) == TEXT[:9000]


@pytest.mark.parametrize("tool", ["zstd", "gzip"])
def test_stock_tools_refuse_what_a_dead_source_left(run: Run, tool: str) -> None:
    def dying() -> Iterator[bytes]:
        yield from cut(TEXT)
        raise ConnectionResetError

    left: list[bytes] = []
    with pytest.raises(ConnectionResetError):
        left.extend(seal(dying(), f"{tool}:1", []))
    assert left
    with pytest.raises(subprocess.CalledProcessError):
        run(tool, "-dc", stdin=b"".join(left))


@pytest.mark.parametrize("tool", ["zstd", "gzip"])
def test_stock_tools_take_a_sealed_snapshot_apart_and_make_one_that_we_read(
    run: Run, tmp_path: Path, tool: str
) -> None:
    identity = age.generate_identity()
    recipients = [age.recipient_of(identity)]
    (tmp_path / "key").write_text(identity)
    ours = b"".join(seal(cut(TEXT), f"{tool}:3", recipients))
    assert run(tool, "-dc", stdin=run("age", "-d", "-i", str(tmp_path / "key"), stdin=ours)) == TEXT
    theirs = run("age", "-r", *recipients, stdin=run(tool, "-c", stdin=TEXT))
    assert b"".join(unseal(cut(theirs), stages_of(f"{tool}:3", recipients), [identity])) == TEXT

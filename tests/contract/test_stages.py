"""What every stage promises, whatever it does to the bytes."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tasks.errors import RedkeepError
from tasks.stream import age, gzip, seal, stages_of, unseal, zstd
from tasks.stream.meter import Meter
from tasks.stream.spool import ahead, spool

CHUNK = 64 << 10
LENGTHS = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 500)
STEPS = (7, 4096, CHUNK - 1, CHUNK, CHUNK + 1, 1 << 20)
NOISE = random.Random(11).randbytes(4 << 20)

Stage = Callable[[Iterator[bytes]], Iterator[bytes]]


@dataclass(frozen=True)
class Pair:
    """A stage and what undoes it."""

    do: Stage
    undo: Stage


def sealing(compression: str, *identities: str) -> Pair:
    recipients = [age.recipient_of(identity) for identity in identities]
    stages = stages_of(compression, recipients)
    return Pair(
        lambda chunks: seal(chunks, compression, recipients),
        lambda chunks: unseal(chunks, stages, identities),
    )


ONE, TWO = age.generate_identity(), age.generate_identity()
PAIRS = {
    "age": Pair(lambda c: age.encrypt(c, [age.recipient_of(ONE)]), lambda c: age.decrypt(c, [ONE])),
    "zstd": Pair(lambda c: zstd.compress(c, 1), zstd.decompress),
    "zstd in the caller's thread": Pair(lambda c: zstd.compress(c, 3, workers=0), zstd.decompress),
    "zstd with two workers": Pair(lambda c: zstd.compress(c, 1, workers=2), zstd.decompress),
    "gzip": Pair(lambda c: gzip.compress(c, 1), gzip.decompress),
    "sealed": sealing("zstd:1", ONE),
    "sealed for two, gzip": sealing("gzip:1", ONE, TWO),
    "sealed, not compressed": sealing("none", ONE),
    "sealed, not encrypted": sealing("zstd:1"),
}
PASSING: dict[str, Stage] = {
    "meter": lambda c: Meter().through(c),
    "ahead": lambda c: ahead(c, 2),
    "spool in memory": lambda c: spool(c, 64 << 20),
    "spool on disk": lambda c: spool(c, 0),
    "spool": lambda c: spool(c, 2 * CHUNK),
    "sealed with nothing to do": lambda c: seal(c, "none", []),
}
ONE_WAY = {
    **{name: pair.do for name, pair in PAIRS.items()},
    **{name: stage for name, stage in PASSING.items() if "nothing" not in name},
}


def cut(data: bytes, step: int) -> Iterator[bytes]:
    return (data[start : start + step] for start in range(0, len(data), step))


class Dead(Exception):
    """What a source dies of."""


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", PAIRS)
def test_what_a_stage_did_its_mirror_undoes(name: str, length: int, step: int) -> None:
    done = b"".join(PAIRS[name].do(cut(NOISE[:length], step)))
    assert b"".join(PAIRS[name].undo(cut(done, step))) == NOISE[:length]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("name", PASSING)
def test_a_passing_stage_changes_no_byte(name: str, length: int, step: int) -> None:
    assert b"".join(PASSING[name](cut(NOISE[:length], step))) == NOISE[:length]


@pytest.mark.parametrize("name", PAIRS)
def test_empty_chunks_mean_nothing(name: str) -> None:
    done = b"".join(PAIRS[name].do(iter([b"", b"ab", b"", b"", b"c", b""])))
    assert b"".join(PAIRS[name].undo(iter([b"", done[:20], b"", done[20:], b""]))) == b"abc"


@pytest.mark.parametrize("before", [0, 1, CHUNK, CHUNK + 1, 3 << 20])
@pytest.mark.parametrize("name", PAIRS)
def test_what_a_dead_source_left_behind_is_refused_by_the_mirror(name: str, before: int) -> None:
    def dying() -> Iterator[bytes]:
        yield from cut(NOISE[:before], CHUNK)
        raise Dead

    left: list[bytes] = []
    with pytest.raises(Dead):
        left.extend(PAIRS[name].do(dying()))
    with pytest.raises(RedkeepError):
        list(PAIRS[name].undo(iter(left)))


@pytest.mark.parametrize("before", [0, 1, 5])
@pytest.mark.parametrize("name", PASSING)
def test_a_passing_stage_passes_the_failure_on(name: str, before: int) -> None:
    def dying() -> Iterator[bytes]:
        yield from cut(NOISE[: before * CHUNK], CHUNK)
        raise Dead

    with pytest.raises(Dead):
        list(PASSING[name](dying()))


@pytest.mark.parametrize("name", PAIRS)
def test_every_shorter_output_is_refused_by_the_mirror(name: str) -> None:
    done = b"".join(PAIRS[name].do(cut(NOISE[: CHUNK + 1], CHUNK)))
    for length in (0, 1, len(done) // 2, len(done) - 17, len(done) - 4, len(done) - 1):
        with pytest.raises(RedkeepError):
            list(PAIRS[name].undo(iter([done[:length]])))


@pytest.mark.parametrize("name", ONE_WAY)
def test_closing_a_stage_early_closes_its_source(name: str) -> None:
    closed = []

    def endless() -> Iterator[bytes]:
        try:
            while True:
                yield NOISE[: 1 << 20]
        finally:
            closed.append(True)

    source = endless()  # held here too: closed by the stage, not by having been forgotten
    stage = ONE_WAY[name](source)
    for _ in range(3):
        assert next(stage)
    stage.close()  # type: ignore[attr-defined]
    assert closed == [True]


@pytest.mark.parametrize("name", PAIRS)
def test_a_mirror_that_refuses_closes_its_source(name: str) -> None:
    closed = []

    def garbage() -> Iterator[bytes]:
        try:
            while True:
                yield NOISE
        finally:
            closed.append(True)

    source = garbage()
    with pytest.raises(RedkeepError):
        list(PAIRS[name].undo(source))
    assert closed == [True]


@pytest.mark.parametrize("name", ONE_WAY)
def test_nothing_happens_before_the_first_byte_is_asked_for(name: str) -> None:
    begun = []

    def source() -> Iterator[bytes]:
        begun.append(True)
        yield b"x"

    stage = ONE_WAY[name](source())
    assert begun == []
    list(stage)
    assert begun == [True]

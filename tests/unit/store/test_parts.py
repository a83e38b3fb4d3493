from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import StoreUnusable
from tasks.store.parts import EQUAL_PARTS, GIB, MAX_PART, MAX_PARTS, MIB, MIN_PART, Buffers, PartBody, PartSizes, cut

TIB = 1024 * GIB


def held_by(sizes: PartSizes, parts: int = MAX_PARTS) -> int:
    return sum(sizes.of(number) for number in range(1, parts + 1))


def test_without_a_hint_16_mib_parts_hold_a_terabyte() -> None:
    assert held_by(PartSizes(16 * MIB)) > 10**12


def test_with_a_hint_equal_parts_hold_all_of_it() -> None:
    for hint in (1, 80 * GIB, TIB, 5 * TIB):
        assert held_by(PartSizes(16 * MIB, hint), EQUAL_PARTS) >= hint


@given(configured=st.integers(0, 2 * GIB), hint=st.integers(0, 5 * TIB))
def test_the_first_parts_are_equal_whole_mib_and_what_s3_takes(configured: int, hint: int) -> None:
    sizes = PartSizes(configured, hint)
    assert sizes.of(1) == sizes.of(EQUAL_PARTS) >= max(configured, MIN_PART)
    assert sizes.of(1) % MIB == 0
    assert sizes.of(EQUAL_PARTS) < sizes.of(EQUAL_PARTS + 1) <= sizes.of(MAX_PARTS) <= MAX_PART


def test_there_is_no_part_10001() -> None:
    with pytest.raises(StoreUnusable):
        PartSizes(16 * MIB).of(MAX_PARTS + 1)


def cut_up(body: bytes, step: int, buffers: Buffers) -> Iterator[tuple[int, bytes]]:
    chunks = (body[start : start + step] for start in range(0, len(body), step))
    for part in cut(chunks, PartSizes(0), buffers.take):
        yield part.number, bytes(part.view)
        buffers.give(part.buffer)


@pytest.mark.parametrize("step", [65_537, MIN_PART - 1, MIN_PART, 2 * MIN_PART + 1])
@pytest.mark.parametrize("length", [0, 1, MIN_PART - 1, MIN_PART, MIN_PART + 1, 2 * MIN_PART, 2 * MIN_PART + 500])
def test_cutting_loses_nothing_and_only_the_last_part_is_short(length: int, step: int) -> None:
    body = hashlib.shake_128(b"parts").digest(length)
    parts = list(cut_up(body, step, Buffers()))
    assert b"".join(each for _, each in parts) == body
    assert [number for number, _ in parts] == list(range(1, max(1, -(-length // MIN_PART)) + 1))
    assert all(len(each) == MIN_PART for _, each in parts[:-1])


def test_a_buffer_given_back_is_used_again_if_its_size_is_right() -> None:
    buffers = Buffers()
    first = buffers.take(10)
    buffers.give(first)
    assert buffers.take(10) is first
    buffers.give(first)
    assert len(buffers.take(20)) == 20
    assert buffers.take(10) is not first


def test_a_source_that_fails_is_heard_as_it_is() -> None:
    def failing() -> Iterator[bytes]:
        yield b"x"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(cut(failing(), PartSizes(0), Buffers().take))


def test_a_body_reads_like_a_file_and_can_be_read_again() -> None:
    content = bytes(range(256)) * (2 * PartBody.BLOCK // 256) + b"the rest"
    body, file = PartBody(memoryview(content)), io.BytesIO(content)
    assert len(body) == len(content)
    for asked, got in ((16_384, PartBody.BLOCK), (PartBody.BLOCK + 1, PartBody.BLOCK + 1), (16_384, 7), (1, 0)):
        assert (body.read(asked), body.tell()) == (file.read(got), file.tell())
    for offset, whence in ((0, io.SEEK_SET), (4, io.SEEK_CUR), (-3, io.SEEK_END)):
        assert body.seek(offset, whence) == file.seek(offset, whence)
        assert body.read() == file.read()

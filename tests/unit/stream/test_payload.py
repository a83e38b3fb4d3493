"""The age payload: nothing leaves it that was not authenticated in its place."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from tasks.errors import AgeCorrupt
from tasks.stream.age.payload import CHUNK, TAG, seal, unseal
from tasks.stream.shape import PIECE

SEALED = CHUNK + TAG
KEY = random.Random(5).randbytes(32)
NOISE = random.Random(6).randbytes(3 * CHUNK + 500)
WHOLE = b"".join(seal(iter([NOISE]), KEY))
CHUNKS = [WHOLE[start : start + SEALED] for start in range(0, len(WHOLE), SEALED)]


def refused(sealed: bytes, *, step: int = PIECE) -> bytes:
    """What was given out before it was refused."""
    out: list[bytes] = []
    with pytest.raises(AgeCorrupt):
        out.extend(unseal(cut(sealed, step), KEY))
    return b"".join(out)


def cut(data: bytes, step: int) -> Iterator[bytes]:
    return (data[start : start + step] for start in range(0, len(data), step))


def test_every_chunk_but_the_last_is_whole() -> None:
    assert [len(chunk) for chunk in CHUNKS] == [SEALED, SEALED, SEALED, 500 + TAG]


def test_a_payload_of_whole_chunks_has_no_empty_last_one() -> None:
    assert len(b"".join(seal(iter([NOISE[: 2 * CHUNK]]), KEY))) == 2 * SEALED


def test_an_empty_payload_is_one_empty_chunk() -> None:
    sealed = b"".join(seal(iter([]), KEY))
    assert len(sealed) == TAG
    assert list(unseal(iter([sealed]), KEY)) == []


def test_how_the_input_was_cut_does_not_show_in_the_output() -> None:
    for step in (1000, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK):
        assert b"".join(seal(cut(NOISE, step), KEY)) == WHOLE


def test_output_comes_in_large_chunks() -> None:
    data = bytes(5 * PIECE)
    sealed = list(seal(cut(data, 1000), KEY))
    assert [len(chunk) >= PIECE for chunk in sealed] == [True] * 5
    assert len(list(unseal(iter(sealed), KEY))) == 5


@pytest.mark.parametrize("number", range(4))
def test_a_flipped_bit_in_any_chunk_is_refused_before_a_byte_of_it_is_given_out(number: int) -> None:
    for place in (0, 1, len(CHUNKS[number]) // 2, len(CHUNKS[number]) - TAG, len(CHUNKS[number]) - 1):
        for bit in (0, 7):
            changed = bytearray(WHOLE)
            changed[number * SEALED + place] ^= 1 << bit
            assert len(refused(bytes(changed))) <= number * CHUNK


@pytest.mark.parametrize("length", [0, 1, 15, 16, 17, SEALED - 1, SEALED, SEALED + 1, SEALED + 16, 3 * SEALED])
def test_a_payload_cut_off_anywhere_is_refused(length: int) -> None:
    out = refused(WHOLE[:length], step=4096)
    assert NOISE.startswith(out)


@pytest.mark.parametrize(
    "order",
    [(1, 0, 2, 3), (0, 2, 1, 3), (0, 1, 3), (0, 1, 3, 2), (0, 0, 1, 2, 3), (1, 2, 3), (0, 1, 2, 3, 3), (3,), (0, 3)],
)
def test_chunks_moved_dropped_or_repeated_are_refused(order: tuple[int, ...]) -> None:
    refused(b"".join(CHUNKS[number] for number in order))


def test_the_first_chunks_of_a_large_payload_are_given_out_before_a_later_one_is_refused() -> None:
    data = random.Random(8).randbytes(3 * PIECE)
    changed = bytearray(b"".join(seal(iter([data]), KEY)))
    changed[-1] ^= 1
    out = refused(bytes(changed))
    assert len(out) >= PIECE
    assert data.startswith(out)


@pytest.mark.parametrize("length", [500, CHUNK])
@pytest.mark.parametrize("more", [b"\0", bytes(16), bytes(SEALED)])
def test_anything_after_the_last_chunk_is_refused(length: int, more: bytes) -> None:
    refused(b"".join(seal(iter([NOISE[:length]]), KEY)) + more)


def test_a_second_payload_after_the_first_is_refused() -> None:
    whole = b"".join(seal(iter([NOISE[:CHUNK]]), KEY))
    refused(whole + whole)


def test_an_empty_last_chunk_after_others_is_refused() -> None:
    by_hand = ChaCha20Poly1305(KEY).encrypt(bytes(10) + b"\x01\x01", b"", None)
    with pytest.raises(AgeCorrupt, match="empty"):
        list(unseal(iter([CHUNKS[0] + by_hand]), KEY))


def test_another_key_opens_nothing() -> None:
    with pytest.raises(AgeCorrupt):
        list(unseal(iter([WHOLE]), bytes(32)))

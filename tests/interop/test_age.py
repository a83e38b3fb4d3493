"""Stock age and rage's library (pyrage) open what we wrote, and we what they did; and all refuse the same."""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tasks.errors import AgeCorrupt, AgeHeaderInvalid, IdentityMismatch, RedkeepError
from tasks.stream import age
from tasks.stream.age import header, payload, x25519
from tasks.stream.age.header import Stanza

CHUNK = 64 << 10
SEALED = CHUNK + 16
LENGTHS = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 500, (5 << 20) + 3)
NOISE = random.Random(17).randbytes(max(LENGTHS))

Run = Callable[..., bytes]


def cut(data: bytes, step: int = 100_001) -> Iterator[bytes]:
    return (data[start : start + step] for start in range(0, len(data), step))


def encrypted(data: bytes, *recipients: str) -> bytes:
    return b"".join(age.encrypt(cut(data), recipients))


def decrypted(data: bytes, *identities: str) -> bytes:
    return b"".join(age.decrypt(cut(data), identities))


@pytest.fixture
def identity() -> str:
    return age.generate_identity()


@pytest.fixture
def recipient(identity: str) -> str:
    return age.recipient_of(identity)


@pytest.fixture
def key_file(tmp_path: Path, identity: str) -> str:
    path = tmp_path / "identity.txt"
    path.write_text(f"# ours\n{identity}\n")
    return str(path)


@pytest.mark.parametrize("length", LENGTHS)
def test_stock_age_opens_what_we_wrote(run: Run, recipient: str, key_file: str, length: int) -> None:
    assert run("age", "-d", "-i", key_file, stdin=encrypted(NOISE[:length], recipient)) == NOISE[:length]


@pytest.mark.parametrize("length", LENGTHS)
def test_we_open_what_stock_age_wrote(run: Run, identity: str, recipient: str, length: int) -> None:
    assert decrypted(run("age", "-r", recipient, stdin=NOISE[:length]), identity) == NOISE[:length]


@pytest.mark.parametrize("length", LENGTHS)
def test_pyrage_and_we_open_each_others_files(identity: str, recipient: str, length: int) -> None:
    pyrage = pytest.importorskip("pyrage")
    theirs = pyrage.encrypt(NOISE[:length], [pyrage.x25519.Recipient.from_str(recipient)])
    assert decrypted(theirs, identity) == NOISE[:length]
    ours = encrypted(NOISE[:length], recipient)
    assert pyrage.decrypt(ours, [pyrage.x25519.Identity.from_str(identity)]) == NOISE[:length]


def test_a_key_from_age_keygen_is_read_and_has_the_same_recipient(run: Run) -> None:
    text = run("age-keygen").decode()
    (theirs,) = age.read_identities(text)
    assert f"# public key: {age.recipient_of(theirs)}\n" in text
    assert age.check_recipient(age.recipient_of(theirs)) == age.recipient_of(theirs)


def test_age_keygen_reads_our_key_and_says_the_same_recipient(run: Run, recipient: str, key_file: str) -> None:
    assert run("age-keygen", "-y", key_file).decode().strip() == recipient


def test_any_one_of_several_identities_opens_it(run: Run, tmp_path: Path) -> None:
    identities = [age.generate_identity() for _ in range(5)]
    recipients = [age.recipient_of(each) for each in identities]
    ours = encrypted(b"for five", *recipients)
    theirs = run("age", *(word for each in recipients for word in ("-r", each)), stdin=b"for five")
    for each in identities:
        path = tmp_path / "one"
        path.write_text(each)
        assert run("age", "-d", "-i", str(path), stdin=ours) == b"for five"
        assert decrypted(ours, age.generate_identity(), each) == b"for five"
        assert decrypted(theirs, each) == b"for five"


def test_a_stranger_opens_neither_ours_nor_theirs(run: Run, recipient: str, tmp_path: Path) -> None:
    stranger = age.generate_identity()
    (tmp_path / "stranger").write_text(stranger)
    ours = encrypted(b"not for you", recipient)
    for each in (ours, run("age", "-r", recipient, stdin=b"not for you")):
        with pytest.raises(IdentityMismatch):
            decrypted(each, stranger)
    with pytest.raises(subprocess.CalledProcessError):
        run("age", "-d", "-i", str(tmp_path / "stranger"), stdin=ours)


def test_stock_age_passes_over_the_same_unknown_stanzas(run: Run, identity: str, recipient: str, key_file: str) -> None:
    file_key, nonce = random.randbytes(16), payload.new_nonce()
    grease = [Stanza((b"x-grease", b"}~!"), bytes(size)) for size in (0, 47, 48, 49, 500)]
    text = header.write([*grease, x25519.wrap(file_key, recipient), *grease], file_key)
    whole = text + nonce + b"".join(payload.seal(iter([b"abc"]), payload.key(file_key, nonce)))
    assert run("age", "-d", "-i", key_file, stdin=whole) == decrypted(whole, identity) == b"abc"


def test_an_armored_file_is_refused_by_name(run: Run, identity: str, recipient: str) -> None:
    with pytest.raises(AgeHeaderInvalid, match="armored"):
        decrypted(run("age", "-a", "-r", recipient, stdin=b"abc"), identity)


def test_a_passphrase_file_has_no_stanza_for_us(identity: str) -> None:
    pyrage = pytest.importorskip("pyrage")
    with pytest.raises(IdentityMismatch):
        decrypted(pyrage.passphrase.encrypt(b"abc", "swordfish"), identity)


def damaged(whole: bytes) -> Iterator[bytes]:
    """Every kind of damage that an authenticated file must not survive."""
    start = whole.index(b"\n--- ") + 49 + 16
    chunks = [whole[at : at + SEALED] for at in range(start, len(whole), SEALED)]
    for length in (0, 21, 22, 23, 60, 100, 150, start - 17, start - 16, start - 1, start, start + 1, start + SEALED):
        yield whole[:length]
    for length in (16, 17, SEALED - 1, SEALED, SEALED + 1):
        yield whole[:-length]
    yield whole + b"\0"
    yield whole + whole
    for order in ((1, 0, 2), (0, 2, 1), (0, 2), (1, 2), (2,), (0, 1), (0, 1, 2, 2), (0, 0, 1, 2)):
        yield whole[:start] + b"".join(chunks[number] for number in order)
    for place in (3, 24, 33, 40, 80, 100, start - 60, start - 20, start - 5):
        yield flipped(whole, place)
    for number in range(3):
        yield flipped(whole, start + number * SEALED + 5)
    yield flipped(whole, len(whole) - 1)


def flipped(data: bytes, place: int) -> bytes:
    changed = bytearray(data)
    changed[place] ^= 1
    return bytes(changed)


def test_we_and_stock_age_refuse_the_same_damage(run: Run, identity: str, recipient: str, key_file: str) -> None:
    whole = encrypted(NOISE[: 2 * CHUNK + 500], recipient)
    for each in damaged(whole):
        with pytest.raises(RedkeepError):
            decrypted(each, identity)
        with pytest.raises(subprocess.CalledProcessError):
            run("age", "-d", "-i", key_file, stdin=each)


def test_every_single_bit_of_the_header_counts(identity: str, recipient: str) -> None:
    whole = encrypted(b"abc", recipient)
    end = whole.index(b"\n--- ") + 49
    for place in range(end):
        for bit in range(8):
            changed = bytearray(whole)
            changed[place] ^= 1 << bit
            with pytest.raises((AgeHeaderInvalid, IdentityMismatch)):
                decrypted(bytes(changed), identity)


def test_every_byte_of_the_nonce_and_of_a_short_payload_counts(identity: str, recipient: str) -> None:
    whole = encrypted(b"abc", recipient)
    for place in range(whole.index(b"\n--- ") + 49, len(whole)):
        with pytest.raises(AgeCorrupt):
            decrypted(flipped(whole, place), identity)


def test_stock_age_refuses_what_a_dead_source_left(run: Run, recipient: str, key_file: str) -> None:
    def dying() -> Iterator[bytes]:
        yield NOISE[: 4 << 20]
        raise ConnectionResetError

    left: list[bytes] = []
    with pytest.raises(ConnectionResetError):
        left.extend(age.encrypt(dying(), [recipient]))
    assert len(b"".join(left)) > 3 << 20
    with pytest.raises(subprocess.CalledProcessError):
        run("age", "-d", "-i", key_file, stdin=b"".join(left))

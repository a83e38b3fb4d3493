"""The age header: strict, bounded, and nothing but AgeHeaderInvalid."""

from __future__ import annotations

import secrets
from base64 import b64encode
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import AgeHeaderInvalid, IdentityMismatch, KeyInvalid, RedkeepError
from tasks.stream import age
from tasks.stream.age import header, payload, x25519
from tasks.stream.age.header import MAX_HEADER, Stanza

IDENTITY = age.generate_identity()
RECIPIENT = age.recipient_of(IDENTITY)
FILE_KEY = secrets.token_bytes(16)
WRITTEN = header.write([x25519.wrap(FILE_KEY, RECIPIENT), Stanza((b"grease", b"x"), bytes(48))], FILE_KEY)

arguments = st.lists(
    st.binary(min_size=1, max_size=12).map(lambda raw: bytes(0x21 + byte % 94 for byte in raw)), min_size=1, max_size=4
)
stanzas = st.lists(
    st.builds(Stanza, arguments.map(tuple), st.binary(max_size=200)).filter(
        lambda stanza: stanza.arguments[0] != b"scrypt"
    ),
    min_size=1,
    max_size=5,
)
edits = st.lists(
    st.tuples(st.integers(0, len(WRITTEN)), st.integers(0, 40), st.binary(max_size=70) | st.just(b"\n")),
    min_size=1,
    max_size=4,
)


def base64(raw: bytes) -> bytes:
    return b64encode(raw).rstrip(b"=")


def opened(text: bytes, *identities: str) -> bytes:
    """The empty payload under header ``text``, or what decrypting says."""
    nonce = payload.new_nonce()
    body = b"".join(payload.seal(iter([]), payload.key(FILE_KEY, nonce)))
    return b"".join(age.decrypt(iter([text + nonce + body]), identities or [IDENTITY]))


def ours(*more: Stanza) -> bytes:
    return header.write([x25519.wrap(FILE_KEY, RECIPIENT), *more], FILE_KEY)


@given(stanzas)
def test_what_was_written_is_read_again(written: list[Stanza]) -> None:
    assert list(header.parse(header.write(written, FILE_KEY)).stanzas) == written


@given(st.binary(max_size=300) | edits)
def test_nothing_but_a_header_is_read_and_nothing_but_a_named_error_is_raised(given_: bytes | list) -> None:
    text = given_ if isinstance(given_, bytes) else edited(WRITTEN, given_)
    try:
        found = header.parse(text)
    except AgeHeaderInvalid:
        return
    assert canonical(found) == text


@given(edits)
def test_a_changed_file_is_refused_by_a_named_error(changes: list) -> None:
    text = edited(WRITTEN, changes)
    try:
        opened(text)
    except RedkeepError:
        return
    assert text == WRITTEN


def edited(text: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    for start, length, new in changes:
        text = text[:start] + new + text[start + length :]
    return text


def canonical(found: header.Header) -> bytes:
    lines = [b"age-encryption.org/v1"]
    for stanza in found.stanzas:
        lines += stanza.lines()
    return b"\n".join([*lines, b"--- " + base64(found.mac), b""])


def test_a_stanza_of_an_unknown_kind_is_passed_over() -> None:
    for body in (b"", bytes(47), bytes(48), bytes(49), bytes(1000)):
        assert opened(ours(Stanza((b"7c-grease", b"}A!", b"z"), body))) == b""


def test_a_body_of_whole_lines_ends_with_an_empty_one() -> None:
    text = ours(Stanza((b"grease",), bytes(96)))
    assert base64(bytes(96))[64:] + b"\n\n--- " in text
    assert len(header.parse(text).stanzas) == 2


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"age-encryption.org/v1\n", b"age-encryption.org/v1\r\n"),
        (b"age-encryption.org/v1\n", b"age-encryption.org/v2\n"),
        (b"age-encryption.org/v1\n", b"age-encryption.org/v1 \n"),
        (b"age-encryption.org/v1\n", b"\nage-encryption.org/v1\n"),
        (b"age-encryption.org/v1\n", b"age-encryption.org/v1\n\n"),
        (b"-> X25519", b"->X25519"),
        (b"-> X25519", b"->  X25519"),
        (b"-> X25519", b"-> X25519 "),
        (b"-> X25519", b"-> x25519"),
        (b"-> X25519", b"-> X25519 extra"),
        (b"-> X25519", b"-> X25519\t"),
        (b"-> X25519", b"-> \xc3\xa9"),
        (b"-> X25519", b"=> X25519"),
        (b"-> grease x", b"-> grease x "),
        (b"-> grease x", b"-> "),
        (b"-> grease x", b"->"),
        (b"-> grease x\n", b"-> grease x\n\n"),
        (b"-> grease x\n", b"-> grease x\n===\n"),
        (b"\n--- ", b"\n---"),
        (b"\n--- ", b"\n---  "),
        (b"\n--- ", b"\n---- "),
        (b"\n--- ", b"\n\n--- "),
        (b"\n--- ", b"\n--- AAAA\n--- "),
    ],
)
def test_what_the_grammar_does_not_make_is_refused(old: bytes, new: bytes) -> None:
    assert WRITTEN.count(old) == 1
    with pytest.raises(RedkeepError) as caught:
        opened(WRITTEN.replace(old, new))
    assert isinstance(caught.value, AgeHeaderInvalid) or new == b"-> x25519"


def test_padding_is_refused_in_the_share_the_body_and_the_mac() -> None:
    lines = WRITTEN.split(b"\n")
    for number in (1, 2, -2):
        changed = [*lines]
        changed[number] += b"="
        with pytest.raises(AgeHeaderInvalid):
            opened(b"\n".join(changed))


def test_base64_with_stray_low_bits_is_refused() -> None:
    assert header.unbase64(b"AA") == b"\0"
    assert header.unbase64(b"AB") is None
    assert header.unbase64(b"AAAAA") is None
    assert header.unbase64(b"AA\n") is None


@pytest.mark.parametrize("length", [31, 33, 0])
def test_a_share_or_a_body_of_another_length_is_refused(length: int) -> None:
    for stanza in (
        Stanza.of("X25519", bytes(length), body=bytes(32)),
        Stanza.of("X25519", bytes(range(32)), body=bytes(length)),
        Stanza.of("X25519", body=bytes(32)),
    ):
        with pytest.raises(AgeHeaderInvalid):
            opened(ours(stanza))


def test_a_share_of_low_order_is_refused() -> None:
    with pytest.raises(AgeHeaderInvalid, match="low order"):
        opened(header.write([Stanza.of("X25519", bytes(32), body=bytes(32))], FILE_KEY))


def test_a_header_without_stanzas_is_refused() -> None:
    with pytest.raises(AgeHeaderInvalid, match="no stanza"):
        header.parse(b"age-encryption.org/v1\n--- " + base64(bytes(32)) + b"\n")


def test_a_passphrase_stanza_beside_another_is_refused() -> None:
    with pytest.raises(AgeHeaderInvalid, match="passphrase"):
        opened(ours(Stanza((b"scrypt", base64(bytes(16)), b"10"), bytes(32))))


def test_a_wrong_mac_is_refused() -> None:
    with pytest.raises(AgeHeaderInvalid, match="MAC"):
        opened(ours()[:-44] + base64(bytes(32)) + b"\n")


def test_a_recipient_added_without_the_file_key_is_refused() -> None:
    more = x25519.wrap(FILE_KEY, RECIPIENT)
    text = WRITTEN.replace(b"-> grease", b"\n".join(more.lines()) + b"\n-> grease")
    with pytest.raises(AgeHeaderInvalid, match="MAC"):
        opened(text)


def test_a_stranger_is_told_that_no_identity_fits() -> None:
    with pytest.raises(IdentityMismatch, match="none of 2"):
        opened(WRITTEN, age.generate_identity(), age.generate_identity())


@pytest.mark.parametrize("cut", range(0, len(WRITTEN), 9))
def test_a_header_cut_off_anywhere_is_refused(cut: int) -> None:
    with pytest.raises(AgeHeaderInvalid):
        list(age.decrypt(iter([WRITTEN[:cut]]), [IDENTITY]))


@pytest.mark.parametrize("lines", [15, 16_000])
def test_an_oversized_header_is_refused_before_more_of_it_was_read(lines: int) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        chunk = (b"A" * 64 + b"\n") * lines
        yield b"age-encryption.org/v1\n-> grease\n"
        while True:
            taken += len(chunk)
            yield chunk

    with pytest.raises(AgeHeaderInvalid, match="does not end within"):
        next(age.decrypt(endless(), [IDENTITY]))
    assert taken <= MAX_HEADER + lines * 65


def test_a_header_that_ends_past_the_bound_is_not_even_parsed() -> None:
    text = b"age-encryption.org/v1\n-> grease\n" + (b"A" * 64 + b"\n") * 1100 + b"\n--- " + base64(bytes(32)) + b"\n"
    assert len(header.parse(text).stanzas) == 1
    with pytest.raises(AgeHeaderInvalid, match="does not end within"):
        list(age.decrypt(iter([text]), [IDENTITY]))


def test_a_header_past_the_bound_is_not_written() -> None:
    room = Stanza((b"grease",), bytes(MAX_HEADER * 3 // 4 - 2000))
    assert opened(ours(room)) == b""
    with pytest.raises(KeyInvalid):
        ours(room, room)


def test_as_many_recipients_as_fit_are_written_and_no_more() -> None:
    assert len(list(age.encrypt(iter([b"x"]), [RECIPIENT] * 500))) == 2
    with pytest.raises(KeyInvalid, match="700 recipients"):
        list(age.encrypt(iter([b"x"]), [RECIPIENT] * 700))


def test_no_recipient_at_all_is_refused() -> None:
    with pytest.raises(KeyInvalid, match="no recipient"):
        list(age.encrypt(iter([b"x"]), []))


def test_an_identity_given_as_a_recipient_is_not_shown() -> None:
    with pytest.raises(KeyInvalid) as caught:
        list(age.encrypt(iter([b"x"]), [IDENTITY]))
    assert IDENTITY[16:24] not in str(caught.value)


def test_a_loaded_identity_shows_nothing_of_itself() -> None:
    assert IDENTITY[16:24] not in repr(x25519.Identity(IDENTITY))


@pytest.mark.parametrize("step", [1, 7, 100])
def test_an_armored_file_is_named_as_one(step: int) -> None:
    text = b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n"
    with pytest.raises(AgeHeaderInvalid, match="armored"):
        list(age.decrypt((text[at : at + step] for at in range(0, len(text), step)), [IDENTITY]))


@pytest.mark.parametrize("text", [b"", b"REDIS0011", bytes(100), b"\x28\xb5\x2f\xfd"])
def test_what_is_no_age_file_is_refused(text: bytes) -> None:
    with pytest.raises(AgeHeaderInvalid, match="does not begin"):
        list(age.decrypt(iter([text]), [IDENTITY]))

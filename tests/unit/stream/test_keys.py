"""Recipients and identities as text."""

from __future__ import annotations

import bech32
import pytest

from tasks.errors import KeyInvalid
from tasks.stream import age

LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
LOW_ORDER = bytes(32)  # RFC 7748, section 6.1: it makes every shared secret zero


def encoded(prefix: str, key: bytes) -> str:
    groups = bech32.convertbits(key, 8, 5)
    assert groups is not None
    return bech32.bech32_encode(prefix, groups)


@pytest.fixture
def identity() -> str:
    return age.generate_identity()


@pytest.fixture
def recipient(identity: str) -> str:
    return age.recipient_of(identity)


def refused(text: str) -> KeyInvalid:
    with pytest.raises(KeyInvalid) as caught:
        age.check_recipient(text)
    return caught.value


def test_keys_look_as_age_writes_them(identity: str, recipient: str) -> None:
    assert identity.startswith("AGE-SECRET-KEY-1")
    assert identity == identity.upper()
    assert recipient.startswith("age1")
    assert recipient == recipient.lower()
    assert (len(identity), len(recipient)) == (74, 62)


def test_the_specifications_example_gives_its_recipient() -> None:
    identity = encoded("age-secret-key-", b"\x42" * 32).upper()
    assert age.recipient_of(identity) == "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"


def test_a_good_recipient_comes_back_without_whitespace(recipient: str) -> None:
    assert age.check_recipient(f"  {recipient}\n") == recipient


@pytest.mark.parametrize("place", [4, 20, 40, 61])
def test_a_mistyped_recipient_is_refused(recipient: str, place: int) -> None:
    other = LETTERS[(LETTERS.index(recipient[place]) + 1) % 32]
    refused(recipient[:place] + other + recipient[place + 1 :])


def test_a_recipient_in_capitals_is_refused(recipient: str) -> None:
    refused(recipient.upper())


def test_a_recipient_in_mixed_case_is_refused(recipient: str) -> None:
    refused("age1" + recipient[4:].upper())
    refused("AGE1" + recipient[4:])


@pytest.mark.parametrize("length", [0, 16, 31, 33, 64])
def test_a_recipient_of_another_length_is_refused(length: int) -> None:
    refused(encoded("age", bytes(range(length))))


def test_a_recipient_with_another_prefix_is_refused(identity: str) -> None:
    for prefix in ("ag", "agf", "bc", "age-"):
        refused(encoded(prefix, b"\x09" * 32))


def test_a_recipient_whose_padding_is_not_zero_is_refused() -> None:
    groups = bech32.convertbits(b"\x09" * 32, 8, 5)
    assert groups is not None
    groups[-1] |= 1
    refused(bech32.bech32_encode("age", groups))


def test_a_recipient_with_a_superfluous_group_is_refused() -> None:
    groups = bech32.convertbits(b"\x09" * 32, 8, 5)
    assert groups is not None
    refused(bech32.bech32_encode("age", [*groups, 0]))


def test_a_recipient_of_low_order_is_refused() -> None:
    assert "low order" in refused(encoded("age", LOW_ORDER)).message


@pytest.mark.parametrize("text", ["", " ", "age", "age1", "1", "é", "age1é", "ssh-ed25519 AAAA", "age1 x"])
def test_what_is_no_key_at_all_is_refused(text: str) -> None:
    refused(text)


@pytest.mark.parametrize("prefix", ["age1pq", "age1tag", "age1yubikey"])
def test_a_recipient_of_another_kind_is_named_as_such(prefix: str) -> None:
    assert "another kind" in refused(encoded(prefix, b"\x09" * 33)).message


@pytest.mark.parametrize("change", [str, str.lower, lambda text: text[:-1], lambda text: f" {text}\n"])
def test_an_identity_where_a_recipient_belongs_is_called_that_and_not_shown(identity: str, change) -> None:
    error = refused(change(identity))
    assert "private key" in error.message
    assert identity[16:24].lower() not in (str(error) + repr(error) + error.hint).lower()


def test_an_identity_file_gives_its_identities_in_order_each_once() -> None:
    one, two = age.generate_identity(), age.generate_identity()
    text = f"# created: today\r\n# public key: x\r\n{one}\r\n\r\n  {two}  \r\n{one}"
    assert age.read_identities(text) == [one, two]


def test_an_identity_file_with_a_bad_line_is_refused_by_number_alone(identity: str) -> None:
    with pytest.raises(KeyInvalid) as caught:
        age.read_identities(f"# mine\n\n{identity}\n{identity[:-1]}\n")
    assert "line 4" in str(caught.value)
    assert identity[16:24] not in str(caught.value) + repr(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n"])
def test_an_identity_file_without_identities_is_refused(text: str) -> None:
    with pytest.raises(KeyInvalid, match="no identity"):
        age.read_identities(text)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("AGE-SECRET-KEY-PQ-1XX", "another kind"),
        ("AGE-PLUGIN-YUBIKEY-1XX", "another kind"),
        ("age-encryption.org/v1", "passphrase"),
        ("-----BEGIN AGE ENCRYPTED FILE-----", "passphrase"),
        ("age1qqqqq", "public key"),
    ],
)
def test_what_is_often_mistaken_for_an_identity_is_named(line: str, said: str) -> None:
    with pytest.raises(KeyInvalid, match=said):
        age.read_identities(line)


def test_an_identity_in_small_letters_is_refused(identity: str) -> None:
    with pytest.raises(KeyInvalid):
        age.recipient_of(identity.lower())

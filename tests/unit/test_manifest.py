"""The manifest: its bytes never change, its signature covers all of it, and garbage is told as such."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import KeyInvalid, ManifestInvalid, ManifestTooNew, SignatureInvalid
from tasks.manifest import MAX_BYTES, Manifest, public_key_of, read_signing_key

KEY = Ed25519PrivateKey.generate()
STRANGER = Ed25519PrivateKey.generate()

RAW: dict[str, Any] = {
    "format_version": 1,
    "id": "20261123T110700Z",
    "target": "main",
    "slot": "tasks.backup/main/2026-11-23T11:07Z",
    "created": "2026-11-23T11:08:01Z",
    "task_id": "7f3a",
    "run_id": "1a2b3c4d5e6f7081",
    "fence": 1795431600000000,
    "server": {"name": "redis", "version": "7.0.15", "run_id": "ab", "role": "master", "mode": "standalone"},
    "source": {"kind": "follow", "exact": True, "fork_usec": 300, "cow_bytes": 4096, "seconds": 1.5},
    "plaintext": {
        "bytes": 10,
        "sha256": "00",
        "rdb_version": 10,
        "crc64": None,
        "keys": {"0": 3, "10": 1},
        "expires": {"0": 0},
    },
    "object": {"key": "main/snapshots/x", "bytes": 5, "sha256": "11", "etag": "e", "parts": 1},
    "stages": ["zstd:1", "age"],
    "recipients": ["age1x"],
    "redkeep_version": "0.1.0",
}


def body(**changes: Any) -> bytes:
    return json.dumps(RAW | changes).encode()


def manifest(**changes: Any) -> Manifest:
    return Manifest.read(body(**changes))


# -- the bytes -------------------------------------------------------------------------------------------


def test_what_is_written_is_read_back_as_the_same() -> None:
    signed = manifest().signed(KEY)
    assert Manifest.read(signed.body()) == signed
    assert Manifest.read(signed.body()).body() == signed.body()


def test_the_form_is_canonical_whatever_order_and_spacing_it_was_read_in() -> None:
    turned = json.dumps(dict(reversed(RAW.items())), indent=3).encode()
    assert Manifest.read(turned).signed_form() == manifest().signed_form()
    expected = json.dumps(RAW, sort_keys=True, separators=(",", ":")).encode()
    assert manifest().signed_form() == expected


def test_numbers_and_text_are_spelled_as_rfc_8785_does() -> None:
    # RFC 8785, 3.2.2.1 and 3.2.3: its own sample, numbers, escapes and the order of keys by UTF-16 units.
    sample = {
        "numbers": [333333333.33333329, 1e30, 4.50, 2e-3, 0.000000000000000000000000001],
        "string": "\u20ac$\u000f\nA'B\"\\\\\"/",
        "literals": [None, True, False],
        "\U0001f600": 1,
        "\ufb33": 2,
    }
    form = manifest(sample=sample).signed_form().decode()
    assert '"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27]' in form
    assert r'"string":"€$\u000f\nA' + r"'B\"\\\\\"/" + '"' in form
    assert form.index("\U0001f600") < form.index("\ufb33"), "surrogates sort before U+FB33"


def test_a_number_beyond_what_is_exact_is_kept_as_the_double_that_it_is() -> None:
    read = manifest(later=2**60, later_still=2.0**60).signed(KEY)
    assert read.signed_form().count(b":1152921504606847000,") == 2
    assert Manifest.read(read.body()).authenticate([public_key_of(KEY)])


def test_an_unsigned_manifest_says_so() -> None:
    assert json.loads(manifest().signed(None).body())["signature"] is None


# -- the signature ---------------------------------------------------------------------------------------


def test_a_signature_of_a_trusted_signer_is_taken() -> None:
    assert manifest().signed(KEY).authenticate([public_key_of(STRANGER), public_key_of(KEY)]) is True


def test_where_nobody_is_trusted_nothing_is_authenticated_but_a_wrong_signature_is_still_refused() -> None:
    signed = manifest().signed(KEY)
    assert manifest().authenticate([]) is False
    assert signed.authenticate([]) is False
    with pytest.raises(SignatureInvalid, match="is wrong"):
        signed.model_copy(update={"target": "other"}).authenticate([])


def test_an_unsigned_manifest_and_a_stranger_are_refused_where_somebody_is_trusted() -> None:
    with pytest.raises(SignatureInvalid, match="is not signed"):
        manifest().authenticate([public_key_of(KEY)])
    with pytest.raises(SignatureInvalid, match="signed by a stranger"):
        manifest().signed(STRANGER).authenticate([public_key_of(KEY)])


def test_a_stranger_who_names_a_trusted_signer_is_refused() -> None:
    forged = json.loads(manifest().signed(STRANGER).body())
    forged["signature"]["signer"] = public_key_of(KEY)
    with pytest.raises(SignatureInvalid, match="is wrong"):
        Manifest.read(json.dumps(forged).encode()).authenticate([public_key_of(KEY)])


@pytest.mark.parametrize("part", ["signer", "value"])
@pytest.mark.parametrize("text", ["", "x", "AAAA", "ä", base64.b64encode(bytes(32)).decode()])
def test_a_signature_that_is_none_is_refused(part: str, text: str) -> None:
    forged = json.loads(manifest().signed(KEY).body())
    forged["signature"][part] = text
    with pytest.raises(SignatureInvalid):
        Manifest.read(json.dumps(forged).encode()).authenticate([public_key_of(KEY)])


def _leaves(raw: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(raw, (dict, list)):
        pairs = raw.items() if isinstance(raw, dict) else enumerate(raw)
        return [leaf for key, each in pairs for leaf in _leaves(each, (*path, key))]
    return [path]


@pytest.mark.parametrize("path", _leaves(RAW), ids=lambda path: ".".join(map(str, path)))
def test_the_signature_covers_every_field(path: tuple[Any, ...]) -> None:
    forged = json.loads(manifest().signed(KEY).body())
    inner = forged
    for step in path[:-1]:
        inner = inner[step]
    old = inner[path[-1]]
    changed = {"redis": "valkey", "follow": "stream", "None": "ff", "True": False}
    inner[path[-1]] = changed.get(str(old), f"{old}x" if isinstance(old, str) else (old or 0) + 1)
    with pytest.raises((SignatureInvalid, ManifestTooNew)):
        Manifest.read(json.dumps(forged).encode()).authenticate([public_key_of(KEY)])


def test_fields_that_are_not_known_are_kept_and_covered_by_the_signature() -> None:
    signed = manifest(later={"deep": [1, "x"]}, server=RAW["server"] | {"os": "linux"}).signed(KEY)
    read = Manifest.read(signed.body())
    assert json.loads(read.body())["later"] == {"deep": [1, "x"]}
    assert read.authenticate([public_key_of(KEY)])
    for forged in (
        signed.body().replace(b'"deep"', b'"Deep"'),
        signed.body().replace(b"linux", b"minix"),
    ):
        with pytest.raises(SignatureInvalid):
            Manifest.read(forged).authenticate([public_key_of(KEY)])


def test_a_field_that_a_later_redkeep_adds_does_not_spoil_older_signatures() -> None:
    class Later(Manifest):
        pinned: bool = False
        note: str | None = None

    signed = manifest().signed(KEY)
    assert Later.read(signed.body()).authenticate([public_key_of(KEY)])


# -- what is refused -------------------------------------------------------------------------------------


def test_a_higher_format_is_refused_as_too_new_even_where_nothing_else_is_known() -> None:
    with pytest.raises(ManifestTooNew, match="has format 2, known here is 1"):
        Manifest.read(body(format_version=2))
    with pytest.raises(ManifestTooNew):
        Manifest.read(b'{"format_version": 7}')


@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'"x"',
        b"\xff\xfe",
        b"{}",
        b'{"format_version": "1"}',
        b'{"format_version": true}',
        b'{"format_version": 1.0}',
        b'{"format_version": 0}',
        b'{"format_version": -1}',
        b'{"format_version": 1}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"format_version": ' + b"1" * 5000 + b"}",
        body()[:-1],
        body(fence="x"),
        body(fence=2**63),
        body(server={}),
        body(stages="zstd"),
        body(server=RAW["server"] | {"name": "memcached"}),
        body(later=float("nan")),
        body(source=RAW["source"] | {"seconds": float("inf")}),
        body(later="\ud800"),
        body(signature="x"),
        body(later="x" * MAX_BYTES),
    ],
    ids=lambda body: repr(body[:24]),
)
def test_garbage_is_told_as_such(garbage: bytes) -> None:
    with pytest.raises(ManifestInvalid, match="not a manifest"):
        Manifest.read(garbage)


def test_a_wrong_field_is_named() -> None:
    with pytest.raises(ManifestInvalid, match=r"plaintext\.sha256: field required"):
        Manifest.read(body(plaintext={name: each for name, each in RAW["plaintext"].items() if name != "sha256"}))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
NEAR = st.dictionaries(st.sampled_from([*RAW, "signature", "later"]), JSON, max_size=3)


@given(st.one_of(st.binary(), JSON.map(lambda raw: json.dumps(raw).encode()), NEAR.map(lambda raw: body(**raw))))
def test_whatever_is_read_is_a_manifest_or_one_of_two_errors(fuzz: bytes) -> None:
    try:
        read = Manifest.read(fuzz)
    except (ManifestInvalid, ManifestTooNew):
        return
    assert Manifest.read(read.body()) == read
    try:
        assert read.authenticate([]) is False
    except SignatureInvalid:
        assert read.signature is not None


# -- keys ------------------------------------------------------------------------------------------------


def pem(key: Any, encryption: Any = None) -> bytes:
    pkcs8 = serialization.PrivateFormat.PKCS8
    return bytes(key.private_bytes(serialization.Encoding.PEM, pkcs8, encryption or serialization.NoEncryption()))


def test_a_signing_key_is_read_from_pem() -> None:
    assert public_key_of(read_signing_key(pem(KEY))) == public_key_of(KEY)
    assert len(base64.b64decode(public_key_of(KEY), validate=True)) == 32


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"AGE-SECRET-KEY-1QQQ",
        pem(X25519PrivateKey.generate()),
        pem(KEY, serialization.BestAvailableEncryption(b"secret")),
        KEY.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    ],
    ids=["nothing", "age", "x25519", "encrypted", "public"],
)
def test_what_is_no_signing_key_is_refused(content: bytes) -> None:
    with pytest.raises(KeyInvalid, match="signing key"):
        read_signing_key(content)

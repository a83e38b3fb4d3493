"""Stage names, and what is refused at once."""

from __future__ import annotations

import pytest

from tasks.errors import IdentityMissing, ManifestInvalid, SettingsInvalid
from tasks.stream import age, seal, stages_of, unseal

RECIPIENT = age.recipient_of(age.generate_identity())


@pytest.mark.parametrize("compression", [f"zstd:{level}" for level in range(1, 20)])
def test_every_zstd_level_is_a_stage(compression: str) -> None:
    assert stages_of(compression, [RECIPIENT]) == (compression, "age")


@pytest.mark.parametrize("compression", [f"gzip:{level}" for level in range(1, 10)])
def test_every_gzip_level_is_a_stage(compression: str) -> None:
    assert stages_of(compression, []) == (compression,)


NO_COMPRESSION = ["", "none:1", "None", "age", "zstd", "zstd:", "zstd:0", "zstd:20", "zstd:01", "zstd:-1", "zstd:1:2"]
NO_COMPRESSION += ["zstd:1\n", "zstd:1.0", "gzip:10", "xz:1"]


@pytest.mark.parametrize("compression", NO_COMPRESSION)
def test_any_other_compression_is_refused_before_a_byte_is_read(compression: str) -> None:
    with pytest.raises(SettingsInvalid):
        seal(iter([]), compression, [RECIPIENT])


@pytest.mark.parametrize("stage", ["", "none", "zstd", "zstd:20", "gzip:0", "brotli:1", "AGE", "age:1"])
def test_an_unknown_stage_of_a_manifest_is_refused_before_a_byte_is_read(stage: str) -> None:
    with pytest.raises(ManifestInvalid):
        unseal(iter([]), ["zstd:1", stage], [])


def test_an_encrypted_object_without_an_identity_is_refused_at_once() -> None:
    with pytest.raises(IdentityMissing):
        unseal(iter([]), ["zstd:1", "age"], [])


def test_no_stages_change_nothing() -> None:
    assert list(unseal(seal(iter([b"ab", b"c"]), "none", []), [], [])) == [b"ab", b"c"]

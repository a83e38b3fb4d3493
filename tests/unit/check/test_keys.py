"""The doctor on keys: who can read, who signs, and where the private halves lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from rig.checked import Installation, found, rows

from tasks.beginning import begin


def test_a_signer_that_readers_do_not_trust_fails(installed: Installation, tmp_path: Path) -> None:
    stranger = begin(tmp_path / "stranger").signer
    settings = installed()
    (own,) = settings.encryption.trusted_signers
    failed = rows(installed((own, stranger)), "fail")
    assert own in failed["keys"].told
    assert "no reader here will accept" in failed["keys"].remedy


@pytest.mark.parametrize("name", ["signing.pem", "identity.txt"])
def test_a_private_key_that_others_can_read_fails(installed: Installation, tmp_path: Path, name: str) -> None:
    path = tmp_path / "conf" / name
    path.chmod(0o640)
    failed = rows(installed(("# identity_files", "identity_files")), "fail")
    assert set(failed) == {"keys"}
    assert failed["keys"].told == f"{path} can be read by others"
    assert failed["keys"].remedy == f"chmod 600 {path}"


def test_a_signing_key_that_is_not_there_fails(installed: Installation, tmp_path: Path) -> None:
    (tmp_path / "conf" / "signing.pem").unlink()
    assert "cannot read the signing key" in rows(installed(), "fail")["keys"].told


def test_an_identity_of_somebody_else_fails(installed: Installation, tmp_path: Path) -> None:
    begin(tmp_path / "stranger").identity.replace(tmp_path / "conf" / "identity.txt")
    failed = rows(installed(("# identity_files", "identity_files")), "fail")
    assert "fits none of the recipients" in failed["keys"].told


def test_a_private_key_on_this_host_and_a_single_recipient_are_warned_of(installed: Installation) -> None:
    told = [each.told for each in found(installed(("# identity_files", "identity_files"))) if each.level == "warn"]
    assert told[0] == "only one key can read the backups"
    assert "lies on this host" in told[1]


def test_backups_in_the_clear_and_unsigned_are_warned_of(installed: Installation) -> None:
    settings = installed()
    (recipient,) = settings.encryption.recipient_keys
    settings = installed((f'["{recipient}"]', '"none"'), ("signing_key_file =", "# "), ("trusted_signers =", "# "))
    told = [each.told for each in found(settings) if each.what == "keys"]
    assert told == ["backups are stored in the clear", "manifests are not signed"]


def test_an_identity_that_still_lies_beside_the_settings_is_warned_of(
    installed: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, identity = installed(), tmp_path / "conf" / "identity.txt"
    monkeypatch.setenv("REDKEEP_CONFIG", str(tmp_path / "conf" / "redkeep.toml"))
    warned = [each for each in found(settings) if each.what == "keys" and "lies beside" in each.told]
    assert [each.told for each in warned] == [f"the private key {identity} still lies beside the settings"]
    assert warned[0].remedy.endswith(f"shred -u {identity}")
    identity.unlink()
    assert not any("lies beside" in each.told for each in found(settings))


def test_a_file_beside_the_settings_that_is_no_identity_of_ours_is_no_matter(
    installed: Installation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDKEEP_CONFIG", str(tmp_path / "conf" / "redkeep.toml"))
    for text in (begin(tmp_path / "stranger").identity.read_text(), "a note\n"):
        (tmp_path / "conf" / "identity.txt").write_text(text)
        assert not any("lies beside" in each.told for each in found(installed()))

"""Who can read the backups, who signs them, and where the private keys lie."""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

from tasks.check.finding import Finding, Findings
from tasks.errors import KeyInvalid
from tasks.manifest import public_key_of, read_signing_key
from tasks.settings import Settings, where
from tasks.stream import age

__all__ = ["keys"]

WHAT = "keys"
BESIDE = "identity.txt"
"""What `redkeep init` calls the private key that it writes beside the settings."""


def keys(settings: Settings) -> Findings:
    """Recipients, the signing key, and every identity that this host has."""
    encryption = settings.encryption
    recipients = [age.check_recipient(key) for key in encryption.recipient_keys]
    if not recipients:
        yield Finding(WHAT, "warn", "backups are stored in the clear", "Name recipients, unless that is meant.")
    else:
        count = len(recipients)
        yield Finding(WHAT, "ok", f"backups are encrypted to {count} recipient{'s' if count > 1 else ''}")
    if len(recipients) == 1:
        remedy = "Add a second recipient whose identity is kept elsewhere: lost keys are lost backups."
        yield Finding(WHAT, "warn", "only one key can read the backups", remedy)
    yield from _signing(settings)
    for path in encryption.identity_files:
        yield from _identity(path, recipients)
    beside = where().absolute().parent / BESIDE
    if beside.exists() and beside not in map(Path.absolute, encryption.identity_files):
        yield from _left_beside(beside, recipients)


def _signing(settings: Settings) -> Findings:
    path = settings.encryption.signing_key_file
    if path is None:
        yield Finding(WHAT, "warn", "manifests are not signed", "Set signing_key_file and trusted_signers.")
        return
    try:
        signer = public_key_of(read_signing_key(path.read_bytes()))
    except OSError as error:
        raise KeyInvalid(
            f"cannot read the signing key {path}",
            detail=(error.strerror or "").lower(),
            hint="Let redkeep's user read it (chown), or correct [encryption] signing_key_file.",
        ) from None
    yield from _mode(path)
    if settings.encryption.trusted_signers and signer not in settings.encryption.trusted_signers:
        remedy = "Add it, or no reader here will accept what is written here."
        yield Finding(WHAT, "fail", f"the signer {signer} is not among trusted_signers", remedy)
    else:
        yield Finding(WHAT, "ok", f"manifests are signed by {signer}")


def _identity(path: Path, recipients: Iterable[str]) -> Findings:
    """One that the settings name: restores and drills here would use it."""
    try:
        identities = age.read_identities(path.read_text(encoding="utf-8"))
    except OSError as error:
        remedy = "Only drills and restores need it: take it out of identity_files where there are none."
        yield Finding(WHAT, "warn", f"cannot read {path}: {(error.strerror or '').lower()}", remedy)
        return
    yield from _mode(path)
    if not {age.recipient_of(each) for each in identities} & set(recipients):
        remedy = "Restores and drills here would fail; name the identity of one of the recipients."
        yield Finding(WHAT, "fail", f"{path} fits none of the recipients", remedy)
    else:
        remedy = "Keep it only on the drill worker: whoever takes this host over can read every backup."
        yield Finding(WHAT, "warn", f"the private key {path} lies on this host", remedy)


def _left_beside(path: Path, recipients: Iterable[str]) -> Findings:
    """One that nothing here uses: what `redkeep init` wrote, still where it wrote it."""
    try:
        identities = age.read_identities(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, KeyInvalid):  # not ours to read, or no identity
        return
    if {age.recipient_of(each) for each in identities} & set(recipients):
        remedy = f"Copy it off this host, see that the copy is whole, then: shred -u {path}"
        yield Finding(WHAT, "warn", f"the private key {path} still lies beside the settings", remedy)


def _mode(path: Path) -> Findings:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        yield Finding(WHAT, "fail", f"{path} can be read by others", f"chmod 600 {path}")

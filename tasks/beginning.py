"""A new installation's files: settings, an age key pair, a signing key. Nothing is ever overwritten."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tasks.errors import FileExists, FileUnwritable
from tasks.manifest import public_key_of
from tasks.stream import age

__all__ = ["Beginning", "begin"]


@dataclass(frozen=True)
class Beginning:
    """What was written where. The keys themselves are only in their files."""

    settings: Path
    identity: Path
    signing_key: Path
    recipient: str
    signer: str


def begin(
    folder: Path,
    *,
    control: str = "redis://127.0.0.1:6379/0",
    store: str = "file:///var/backups/redkeep",
    server: str = "redis://127.0.0.1:6379",
    data_dir: str = "",
    endpoint_url: str = "",
    region: str = "",
    host: str = "",
    recipients: Sequence[str] = (),
    minutes: Mapping[str, int] | None = None,
) -> Beginning:
    """Write redkeep.toml, identity.txt and signing.pem into the folder, each with mode 0600.

    Args:
        control, store, server: what the settings say for [control] url, [store] url and the first target's url.
        data_dir, endpoint_url, region, host: the same; left as comments where nothing is given.
        recipients: public keys that may read the backups as well.
        minutes: of the schedules, by the name of their table; where nothing is given they are left out.

    Raises:
        KeyInvalid: a recipient is none.
        FileExists: one of them is there; none is written then.
        FileUnwritable: the folder cannot be made or written.
    """
    settings, identity, signing = folder / "redkeep.toml", folder / "identity.txt", folder / "signing.pem"
    others = [age.check_recipient(each) for each in recipients]
    there = [path.name for path in (settings, identity, signing) if path.exists()]
    if there:
        hint = "Nothing was overwritten. Go on with `redkeep check`, or name another folder."
        raise FileExists(f"{folder} already holds {', '.join(there)}", hint=hint)
    private, key = age.generate_identity(), Ed25519PrivateKey.generate()
    recipient, signer = age.recipient_of(private), public_key_of(key)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    words = {
        "@CONTROL@": control,
        "@STORE@": store,
        "@SERVER@": server,
        '"@RECIPIENT@"': ", ".join(f'"{each}"' for each in dict.fromkeys([recipient, *others])),
        "@SIGNER@": signer,
        "@IDENTITY@": identity.name,
        "@SIGNING_KEY@": signing.name,
    }
    given = {"data_dir": data_dir, "endpoint_url": endpoint_url, "region": region, "host": host}
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(identity, f"# public key: {recipient}\n{private}\n")
        _write(signing, pem)
        _write(settings, _filled(words, given, minutes or {}))
    except FileExistsError as error:
        raise FileExists(f"{error.filename} exists") from None
    except OSError as error:
        raise FileUnwritable(f"cannot write {error.filename}", detail=(error.strerror or "").lower()) from None
    return Beginning(settings, identity, signing, recipient, signer)


def _filled(words: dict[str, str], given: dict[str, str], minutes: Mapping[str, int]) -> str:
    """The example with its words put in, and the given settings no longer commented out."""
    text = files("tasks").joinpath("example.toml").read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(word, value)
    for name, value in given.items():
        if value:
            text = re.sub(rf'^# {name} = "[^"]*"', f'{name} = "{value}"', text, count=1, flags=re.MULTILINE)
    for table, minute in minutes.items():
        text = _scheduled(text, table, minute)
    return re.sub(r"^([^#\n]*\S) +(# .*)$", lambda line: f"{line[1]:<36} {line[2]}", text, flags=re.MULTILINE)


def _scheduled(text: str, table: str, minute: int) -> str:
    """With that minute in the table's schedule, neither of the two a comment any more.

    >>> _scheduled('# [target.rewrite]\\n# schedule = "33 3 * * *"\\n', "rewrite", 5)
    '[target.rewrite]\\nschedule = "5 3 * * *"\\n'
    """
    pattern = rf'^(?:# )?(\[target\.{table}\].*\n(?:.+\n)*?)# schedule = "\d+ '
    return re.sub(pattern, rf'\g<1>schedule = "{minute} ', text, count=1, flags=re.MULTILINE)


def _write(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())

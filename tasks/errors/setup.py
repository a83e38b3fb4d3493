"""Settings, keys and files: 10..19; and what `redkeep check` says of them and all else: 58."""

from __future__ import annotations

from tasks.errors.root import RedkeepError

__all__ = [
    "CheckFailed",
    "FileExists",
    "FileUnwritable",
    "KeyInvalid",
    "SecretMissing",
    "SettingsInvalid",
    "SettingsMissing",
    "UnknownTarget",
]


class SettingsMissing(RedkeepError):
    code = 10
    hint = "Run `redkeep init`, then name the file with --config or REDKEEP_CONFIG."


class SettingsInvalid(RedkeepError):
    code = 11
    hint = "Correct the named field; `redkeep init` writes a commented example."


class SecretMissing(RedkeepError):
    code = 12
    hint = "Set the named environment variable or write the named file (mode 0600)."


class UnknownTarget(RedkeepError):
    code = 13
    hint = "Use the name of a [[target]] in redkeep.toml."


class KeyInvalid(RedkeepError):
    """A recipient, an identity or a signing key that cannot be read as one."""

    code = 14
    hint = "Give an age X25519 key as age-keygen or `redkeep init` writes it, or an Ed25519 key in PEM."


class FileExists(RedkeepError):
    code = 15
    hint = "Nothing was overwritten; name another place or move the file away first."


class FileUnwritable(RedkeepError):
    code = 16
    hint = "Name a folder that exists, has room and may be written to."


class CheckFailed(RedkeepError):
    """The exit code of `redkeep check`: every failing row has its own remedy."""

    code = 58
    hint = "Do what stands under each row of `redkeep check` that says fail, from the top."

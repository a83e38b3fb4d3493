"""What tidy removed, and its way back: 115..119."""

from __future__ import annotations

from tasks.errors.root import RedkeepError

__all__ = ["ArchiveIncomplete", "ArchiveInvalid", "ArchiveUnknown", "PatternInvalid", "UntidyRefused"]


class ArchiveUnknown(RedkeepError):
    code = 115
    hint = "List the tidy runs with `redkeep history TARGET --task tidy`; only rules with keep_copy = true archive."


class ArchiveInvalid(RedkeepError):
    """An archive that is not what its manifest says, or not one at all."""

    code = 116
    hint = "Restore nothing from it: look at who can write to the store, and fetch the keys from a backup instead."


class ArchiveIncomplete(RedkeepError):
    """The keys of whole segments could not be brought back; those of the others were."""

    code = 117
    hint = "Mend what is said of those segments and call it again: keys that are there by now are left alone."


class UntidyRefused(RedkeepError):
    """The server took none of the keys."""

    code = 118
    hint = "Restore into a server as new as the one they came from, of the same vendor."


class PatternInvalid(RedkeepError):
    code = 119
    hint = "Write it as Redis does: * for any characters, ? for one, [a-z] for one of these; a backslash to mean them."

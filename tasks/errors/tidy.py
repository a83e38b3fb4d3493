"""Tidy: 65..69."""

from __future__ import annotations

from tasks.errors.root import RedkeepError

__all__ = ["ClockMovedBack", "NoRecentBackup", "NoRules", "ShareExceeded", "TidyUnfit"]


class NoRecentBackup(RedkeepError):
    """Nothing is removed that could not be brought back."""

    code = 65
    hint = "Take a backup first (`redkeep run backup TARGET`), or raise [target.tidy] needs_backup_within."


class ShareExceeded(RedkeepError):
    code = 66
    hint = "See with --dry-run which rule takes so much; if it is right, say --force-share."


class TidyUnfit(RedkeepError):
    """The server as it is set, or the kind it is of, cannot be tidied by these rules."""

    code = 67
    hint = "Change the rule, or leave it out for this target; nothing was removed."


class ClockMovedBack(RedkeepError):
    """After that, the keys used last look idle for months."""

    code = 68
    hint = "Set the clock of the server's machine right; tidy goes on once it is past the time of its last run."


class NoRules(RedkeepError):
    code = 69
    hint = "Write a [[target.tidy.rule]]; docs/tidy.md shows some, and `redkeep memory TARGET` where the bytes are."

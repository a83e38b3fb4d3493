"""The run's own endings: 90..99."""

from __future__ import annotations

from tasks.errors.root import RedkeepError, Skip

__all__ = [
    "AofOff",
    "DemoFailed",
    "Paused",
    "SlotCommitted",
    "Unexpected",
]


class SlotCommitted(Skip):
    code = 90
    hint = "The slot's backup is committed and was left as it is."


class Paused(Skip):
    code = 91
    hint = "Go on with `redkeep resume TARGET [TASK]`; runs started by hand are never paused."


class DemoFailed(RedkeepError):
    code = 92
    hint = "The demo cleaned up after itself; call it again, and report it if it fails again."


class AofOff(Skip):
    code = 93
    hint = "There is nothing to rewrite; `redkeep run enforce TARGET` turns AOF on, in the order that loses no data."


class Unexpected(RedkeepError):
    """Not one of ours: a defect in redkeep, or an outside answer that nobody foresaw."""

    code = 99
    hint = "Please report it with the worker's log from that minute."

"""The persistence settings: 86..89, 95..97."""

from __future__ import annotations

from tasks.errors.root import RedkeepError

__all__ = [
    "AofFoundOff",
    "AofUnproven",
    "PersistenceUnkept",
    "PersistenceUnlasting",
    "SettingRefused",
    "SettingUnknown",
]


class AofFoundOff(RedkeepError):
    """AOF is off where it was on, or where its files lie. Switching it on would write over them."""

    code = 86
    hint = "See which of the two data sets counts before anybody switches AOF on again; nothing was changed."


class AofUnproven(RedkeepError):
    """AOF could not be switched on: its first rewrite failed. It is off again, as it was."""

    code = 87
    hint = "AOF is off as before; read the server's log: its disk is full, perhaps, or its memory too short for a fork."


class PersistenceUnlasting(RedkeepError):
    """The settings cannot be made to outlast a restart, or not all of them; what keeps the data meanwhile is kept."""

    code = 88
    hint = "Write the lines that the run's record names where it says, and restart the server when that is convenient."


class PersistenceUnkept(RedkeepError):
    """All was set, and the server is not as it was set."""

    code = 89
    retry = True
    hint = "See who else changes that server's settings, or write the value as CONFIG GET does."


class SettingUnknown(RedkeepError):
    code = 95
    hint = "Take it out of [target.persistence.config], or correct its name; nothing was changed."


class SettingRefused(RedkeepError):
    code = 96
    hint = "Correct its value in [target.persistence]; the server's settings are as they were."

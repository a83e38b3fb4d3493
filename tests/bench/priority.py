"""Who goes first on a machine that plays several: what would be elsewhere must neither wait nor be waited for."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["FIRST", "LAST", "give"]

FIRST, LAST = -10, 19
"""Niceness; below 0 only root may give it."""


def give(leader: int, niceness: int) -> None:
    """To all of the session that this process leads. Where Linux groups processes by session, niceness counts only
    within one, unless the group itself has it (sched(7), "The autogroup feature")."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PGRP, leader, niceness)
    with suppress(OSError):  # no such feature here; or not allowed
        Path(f"/proc/{leader}/autogroup").write_text(str(niceness))

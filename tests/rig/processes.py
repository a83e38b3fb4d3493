"""Processes that an interrupted test session does not leave behind."""

from __future__ import annotations

import shutil
from collections.abc import Sequence

__all__ = ["dying_with_us"]


def dying_with_us(command: Sequence[str]) -> list[str]:
    """The command, to be killed when the thread that starts it ends (PR_SET_PDEATHSIG): start it from the main thread.

    By setpriv and not by a preexec_fn: no Python runs between fork and exec, where our other threads' locks would stand
    still. It becomes the command, same pid. Where util-linux has none, the command as it was.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--", *command] if setpriv else list(command)

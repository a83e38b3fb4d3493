"""Alarms that do not reach anybody: 120..121."""

from __future__ import annotations

from tasks.errors.root import RedkeepError

__all__ = ["AlertUndelivered", "AlertsUnset"]


class AlertUndelivered(RedkeepError):
    """Not tried again by the frame: the next look, minutes later, tells what is still untold."""

    code = 120
    hint = "Try it with `redkeep alert test`; [alerts] has the URLs."


class AlertsUnset(RedkeepError):
    code = 121
    hint = "Set webhook_url or heartbeat_url in [alerts]; both may be given as \"${NAME}\" or { file = \"path\" }."

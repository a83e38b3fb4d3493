"""In which words alarms leave here: one JSON object for each look that has something to tell."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from tasks.alarms import Change
from tasks.freshness import State

__all__ = ["lines", "message", "probe"]

TITLES = {"raised": "ALARM", "reminder": "STILL"}


def lines(target: str, changes: Sequence[Change]) -> list[str]:
    """One for each that there is something to tell of."""
    return [_line(target, each) for each in changes if each.event]


def message(target: str, state: State, changes: Sequence[Change]) -> dict[str, Any]:
    """What a webhook gets (docs/alerts.md). `text` is what Slack, Mattermost and Rocket.Chat show."""
    told = [_told(target, each) for each in changes if each.event]
    return _about(lines(target, changes)) | {"target": target, "state": state, "alarms": told}


def probe() -> dict[str, Any]:
    """The same shape, and says that it is a test."""
    return _about(["TEST: this is `redkeep alert test`, nothing is wrong"]) | {"test": True, "alarms": []}


def _about(told: Sequence[str]) -> dict[str, Any]:
    text = "\n".join(f"redkeep {line}" for line in told)
    return {"text": _plain(text), "host": socket.gethostname(), "version": version("redkeep"), "test": False}


def _told(target: str, change: Change) -> dict[str, Any]:
    about = change.subject
    return {
        "event": change.event,
        "target": target,
        "kind": about.kind,
        "words": about.words,
        "hint": about.hint,
        "since": datetime.fromtimestamp(about.since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def _line(target: str, change: Change) -> str:
    about = change.subject
    if change.event == "recovered":
        return f"RECOVERED {target}, it was: {about.words}"
    hint = f". {about.hint}" if about.hint else ""
    return f"{TITLES[str(change.event)]} {target}: {about.words}{hint}"


def _plain(text: str) -> str:
    """As Slack wants what is text and not its own markup (api.slack.com, "Formatting text"): a key's name in an error
    must not page a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

"""One run record as a reader sees it, and how it is written down."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

__all__ = ["FINAL", "Record", "flat", "parsed"]

FINAL = frozenset({"succeeded", "failed", "skipped", "deferred", "cancelled", "died"})
STRUCTURED: dict[str, type] = {
    "attempts": list,
    "phases": dict,
    "figures": dict,
    "progress": dict,
    "error": dict,
    "warnings": list,
}
"""Fields that hold JSON, and of which kind; or null."""


@dataclass(frozen=True)
class Record:
    """A run as a reader sees it. Times are seconds since 1970; `state` is one of those in :mod:`tasks.records`.

    Attributes:
        unreadable: names of fields that hold something else than they should; they read as not there.
    """

    id: str
    state: str
    fields: Mapping[str, Any]
    unreadable: tuple[str, ...] = ()

    @property
    def final(self) -> bool:
        return self.state in FINAL

    def get(self, name: str, default: Any = None) -> Any:
        return self.fields.get(name, default)

    def moment(self, name: str) -> datetime | None:
        """`created`, `started` or `ended`."""
        try:
            value = self.fields.get(name)
            return datetime.fromtimestamp(float(value), UTC) if value else None
        except (ValueError, OverflowError, OSError):
            return None

    def result(self) -> dict[str, Any]:
        """The small flat form that is the Celery result and ``redkeep run --json``."""
        return {
            "id": self.id,
            "task": self.get("task", ""),
            "target": self.get("target", ""),
            "slot": self.get("slot"),
            "outcome": self.state,
            "error": self.get("error"),
            "phases": self.get("phases", {}),
            "figures": self.get("figures", {}),
        }


def flat(fields: Mapping[str, Any]) -> Iterator[str]:
    """Names and values in turn, as a hash takes them."""
    for name, value in fields.items():
        yield name
        yield json.dumps(value) if name in STRUCTURED else str(value)


def parsed(run_id: str, fields: Mapping[str, str], alive: str | None) -> Record:
    """The record in a hash. One that runs and whose beat (`alive`) has stopped has died."""
    state = fields.get("state", "queued")
    if state == "running" and alive is None:
        state = "died"
    told: dict[str, Any] = {name: value for name, value in fields.items() if value != ""}
    unreadable = []
    for name in STRUCTURED.keys() & fields.keys():
        try:
            told[name] = _structured(name, fields[name])
        except (ValueError, RecursionError):
            unreadable.append(name)
            told.pop(name, None)
    return Record(run_id, state, told, tuple(sorted(unreadable)))


def _structured(name: str, text: str) -> Any:
    found = json.loads(text)
    # an empty list written by Lua reads as {}
    if found is None or isinstance(found, STRUCTURED[name]):
        return found
    if found in ({}, []):
        return STRUCTURED[name]()
    raise ValueError(name)

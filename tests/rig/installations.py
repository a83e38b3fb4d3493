"""Settings files for tests: the smallest whole one, with whatever a test wants otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tasks.settings import Settings, parse

__all__ = ["settings", "settings_text"]


def settings_text(
    control_url: str,
    *,
    store: str = "file:///nowhere",
    recipients: str | list[str] = "none",
    targets: dict[str, dict[str, Any]] | None = None,
    **control: Any,
) -> str:
    """A redkeep.toml. ``targets`` by name, ``control`` as in [control]; dicts become sub-tables."""
    lines = ["[control]", f"url = {json.dumps(control_url)}", *_assigned(control)]
    lines += ["[store]", f"url = {json.dumps(store)}", "[encryption]", f"recipients = {json.dumps(recipients)}"]
    for name, fields in (targets or {"main": {}}).items():
        wanted = {"name": name, "url": "redis://127.0.0.1:1"} | fields
        lines += ["[[target]]", *_assigned(wanted)]
    return "\n".join(lines) + "\n"


def settings(control_url: str, **wanted: Any) -> Settings:
    return parse(settings_text(control_url, **wanted), {}, Path("/nowhere/redkeep.toml"))


def _assigned(fields: dict[str, Any]) -> list[str]:
    return [f"{name} = {_value(value)}" for name, value in fields.items()]


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(_assigned(value)) + " }"
    return json.dumps(str(value) if isinstance(value, Path) else value)

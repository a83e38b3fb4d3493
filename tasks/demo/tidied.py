"""What of the demo's data nobody needs, and the run that removes it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasks.errors import DemoFailed

__all__ = ["RULES", "tidied"]

RULES = """
[target.tidy]
schedule = "off"
max_share = 0.6

[[target.tidy.rule]]
name = "daily counters"
match = "metric:*"
stamp = { regex = ':(\\d{8})$', format = "%Y%m%d", older_than = "90d" }
action = "delete"

[[target.tidy.rule]]
name = "feeds"
match = "feed:*"
type = "list"
action = { trim_to = 20 }
"""
"""To be written below the target's settings."""


def tidied(target: str, redkeep: Callable[..., Any]) -> str:
    """Run tidy to its end, and tell what it removed. A scheduled backup goes first, and tidy goes on after it.

    Args:
        redkeep: gives what one of our commands prints.
    """
    ended, removed, elements = "", 0, 0
    while ended != "through":
        figures = redkeep("run", "tidy", target, "--no-dry-run", "--json")["figures"]
        ended = figures["ended"]
        removed += sum(rule.get("removed", 0) for rule in figures["rules"])
        elements += sum(rule.get("elements", 0) for rule in figures["rules"])
    if not (removed and elements):
        raise DemoFailed(f"tidy removed {removed} keys and {elements} elements")
    return f"redkeep run tidy {target}: {removed:,} old counters and {elements:,} elements of feeds removed"

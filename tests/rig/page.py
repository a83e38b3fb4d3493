"""The ACL rules as docs/permissions.md shows them, by the name of each."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["RULES", "granted_by", "without"]

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
RULES: dict[str, str] = dict(
    re.findall(r"^```acl ([a-z ]+)\nACL SETUSER [a-z]+ ([^\n]+)\n```$", PAGE.read_text(), flags=re.M)
)
"""What follows ``ACL SETUSER name``."""


def granted_by(rules: str) -> list[str]:
    """The commands that the rules allow, with their plus."""
    return [word for word in rules.split() if word.startswith("+")]


def without(rules: str, word: str) -> str:
    return " ".join(each for each in rules.split() if each != word)

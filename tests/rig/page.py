"""The ACL rules as docs/permissions.md shows them, by the name of each."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["RULES", "granted_by", "without"]

PAGE = Path(__file__).parents[2] / "docs" / "permissions.md"
RULES: dict[str, str] = {
    kind: " ".join(re.findall(r"^ACL SETUSER [a-z]+ (.+)$", lines, flags=re.MULTILINE))
    for kind, lines in re.findall(r"^```acl ([a-z ]+)\n(.*?)^```$", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
}
"""What follows ``ACL SETUSER name``, all lines of a rule as one."""


def granted_by(rules: str) -> list[str]:
    """The commands that the rules allow, with their plus."""
    return [word for word in rules.split() if word.startswith("+")]


def without(rules: str, word: str) -> str:
    return " ".join(each for each in rules.split() if each != word)

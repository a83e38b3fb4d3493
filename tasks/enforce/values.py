"""Settings as a person writes them and as a server does: when two texts mean the same. Pure.

>>> same("maxmemory", "1gb", "1073741824"), same("save", "900 1 300 10", "300 10 900 1")
(True, True)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tasks.settings.targets import Persistence

__all__ = ["Difference", "differences", "same", "wanted_of"]

UNITS = {"b": 1, "k": 1000, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30}
"""What a server takes behind a number of bytes (util.c, memtoull)."""
_MEMORY = re.compile(r"(\d+)(b|kb?|mb?|gb?)")
CLASSES = {"slave": "replica"}
"""A client's class has two names; servers answer with the older."""


@dataclass(frozen=True)
class Difference:
    """A setting that is not as it should be; both values as they were written."""

    name: str
    wanted: str
    actual: str

    def __str__(self) -> str:
        return f"{self.name} is {self.actual!r}, and {self.wanted!r} is wanted"


def wanted_of(persistence: Persistence) -> dict[str, str]:
    """Every setting that [target.persistence] names, by its CONFIG name."""
    own = {name: str(getattr(persistence, name)) for name in ("save", "appendonly", "appendfsync")}
    return own | persistence.config


def differences(wanted: Mapping[str, str], actual: Mapping[str, str]) -> tuple[Difference, ...]:
    """What is not as wanted, in the order it is wanted. Names that `actual` does not have are left out."""
    return tuple(
        Difference(name, value, actual[name])
        for name, value in wanted.items()
        if name in actual and not same(name, value, actual[name])
    )


def same(name: str, wanted: str, actual: str) -> bool:
    """Whether a server that says `actual` is set as `wanted`.

    >>> same("client-output-buffer-limit", "replica 64mb 16mb 60", "normal 0 0 0 slave 67108864 16777216 60")
    True
    >>> same("notify-keyspace-events", "KEA", "AKE"), same("appendonly", "YES", "yes"), same("save", "", "900 1")
    (True, True, False)
    """
    left, right = _words(wanted), _words(actual)
    match name:
        case "save":
            return set(_groups(left, 2)) == set(_groups(right, 2))
        case "client-output-buffer-limit":  # a class that is not named keeps its limits
            return set(_groups(left, 4)) <= set(_groups(right, 4))
        case "notify-keyspace-events":
            return sorted(wanted) == sorted(actual)
        case _:
            return left == right


def _words(text: str) -> list[str]:
    return [_plain(word) for word in text.casefold().split()]


def _plain(word: str) -> str:
    memory = _MEMORY.fullmatch(word)
    return str(int(memory[1]) * UNITS[memory[2]]) if memory else CLASSES.get(word, word)


def _groups(words: list[str], size: int) -> Iterable[tuple[str, ...]]:
    return (tuple(words[at : at + size]) for at in range(0, len(words), size))

"""Redis directives, as a configuration file and as a command line want them.

A value is text in words (``"900 1"``; a word with blanks is quoted as in a shell), a path, which is one word, or a
sequence of texts, which is the directive once for each.

>>> directives = {"save": "", "dir": Path("/a b"), "user": ["x on >pw", "y off"], "hz": 100}
>>> print(as_file(directives), end="")
save ""
dir "/a b"
user x on >pw
user y off
hz 100
>>> as_arguments(directives)
['--save', '', '--dir', '/a b', '--user', 'x', 'on', '>pw', '--user', 'y', 'off', '--hz', '100']
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

__all__ = ["Value", "as_arguments", "as_file", "hyphenated"]

Value = str | int | Path | Sequence[str]


def as_file(directives: Mapping[str, Value]) -> str:
    return "".join(f"{name} {' '.join(map(_quoted, words))}\n" for name, words in _lines(directives))


def as_arguments(directives: Mapping[str, Value]) -> list[str]:
    return [word for name, words in _lines(directives) for word in (f"--{name}", *words)]


def hyphenated(directives: Mapping[str, Value]) -> dict[str, Value]:
    """With names as the server spells them: ``appendonly``, ``maxmemory-policy``."""
    return {name.replace("_", "-"): value for name, value in directives.items()}


def _lines(directives: Mapping[str, Value]) -> Iterator[tuple[str, list[str]]]:
    for name, value in directives.items():
        match value:
            case Path():
                yield name, [str(value)]
            case str() | int():
                yield name, shlex.split(str(value)) or [""]
            case _:
                yield from ((name, shlex.split(text)) for text in value)


def _quoted(word: str) -> str:
    if word and not re.search(r"[\s\"'\\]", word):
        return word
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'

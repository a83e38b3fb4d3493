"""docs/benchmarks.md, a section for each part of the bench; each is written anew by its own part and by nothing else.

    publish("tidy", "Removing a million keys", "What was done, in a sentence.", Table(("way", "seconds"), rows))

A section begins with where and when it was measured, so that parts that ran on different days can stand in one file.
BENCH_OUT names another file.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["Table", "asked", "publish", "versions", "where"]

DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks.md"
ORDER = ("ways", "worker", "recovery", "tidy")
BEGINNING = """# Benchmarks

Written by `make bench`, as measured; everything is real and on one machine: the Redis, the S3 server, the worker, the
tools. Ratios within a table count, seconds are one machine's. Write nothing here by hand, run the part again:
`make bench ARGS=ways`.
"""


@dataclass(frozen=True)
class Table:
    """Rows of whatever `str` shows, under their columns; the first column is text, the others are figures."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    def __str__(self) -> str:
        rule = ["---", *["---:"] * (len(self.columns) - 1)]
        return "\n".join(f"| {' | '.join(map(str, row))} |" for row in (self.columns, rule, *self.rows))


def publish(section: str, title: str, *blocks: str | Table, used: Sequence[str] = ()) -> None:
    """Print the section and write it into the document in place of what stood under its name.

    ``used``: what else took part, with its version, as :func:`versions` tells it.
    """
    text = "\n\n".join(
        [f"## {title}", *map(str, blocks), f"Measured: {where()}{''.join(f'; {each}' for each in used)}."]
    )
    print(text, end="\n\n", flush=True)
    path = Path(os.environ.get("BENCH_OUT", DOCUMENT))
    standing = path.read_text() if path.exists() else ""
    path.write_text(replaced(standing, section, text))


def replaced(document: str, section: str, text: str) -> str:
    """The document with that section in its place.

    >>> one = replaced("", "tidy", "old")
    >>> two = replaced(replaced(one, "ways", "first"), "tidy", "new")
    >>> two.startswith(BEGINNING), two.index("first") < two.index("new"), "old" in two
    (True, True, False)
    """
    found = dict(re.findall(r"^<!-- (\w+) -->\n(.*?)\n<!-- end of \1 -->$", document, re.DOTALL | re.MULTILINE))
    found[section] = text
    known = [name for name in ORDER if name in found] + sorted(set(found) - set(ORDER))
    return BEGINNING + "".join(f"\n<!-- {name} -->\n{found[name]}\n<!-- end of {name} -->\n" for name in known)


def asked(figure: float, limit: float, unit: str = "") -> str:
    """A figure beside what was asked for.

    >>> asked(1.2, 1.25), asked(310, 250, " MB")
    ('1.20 (asked: at most 1.25)', '310 MB (asked: at most 250 MB; missed)')
    """
    told = f"{figure:.0f}" if figure >= 10 else f"{figure:.2f}"
    return f"{told}{unit} (asked: at most {limit:g}{unit}{'; missed' if figure > limit else ''})"


def where() -> str:
    """This machine and this minute."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    named = re.sub(r"\s+|\(R\)|\(TM\)", " ", cpu[1]).split() if cpu else [platform.machine()]
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, {' '.join(named)}, {os.cpu_count()} cores, {memory:.0f} GiB, "
        f"Linux {platform.release()}, Python {platform.python_version()}"
    )


def versions(*commands: str) -> list[str]:
    """What each says of itself: its name and the first number in its answer to ``--version``, or ``version``."""
    told = []
    for command in commands:
        for argument in ("--version", "version"):
            said = subprocess.run([command, argument], capture_output=True, text=True, check=False).stdout
            if number := re.search(r"\d+(\.\d+)+", said):
                told.append(f"{Path(command).name} {number[0]}")
                break
    return told

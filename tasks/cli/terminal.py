"""How the commands speak: tables and lines for people, one JSON object for programs, errors with their hint."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ParamSpec

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.errors import RedkeepError

__all__ = ["age", "errors_told", "json_option", "out", "say", "size", "table"]

P = ParamSpec("P")

out = Console(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")


def say(text: str, style: str = "") -> None:
    """A line for people, on standard error, so that standard output stays data."""
    err.print(Text(text, style=style))


def emit(value: Any) -> None:
    """The one JSON value of a command called with --json."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def table(*columns: str) -> Table:
    """A plain table; columns whose name ends in ">" are right-aligned."""
    made = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    for column in columns:
        made.add_column(column.rstrip(">"), justify="right" if column.endswith(">") else "left", overflow="fold")
    return made


def errors_told(command: Callable[P, None]) -> Callable[P, None]:
    """Show an error of ours as two lines (with --json as an object), and exit with its code."""

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RedkeepError as error:
            if kwargs.get("as_json"):
                emit({"error": error.as_dict()})
            else:
                show_error(error)
            sys.exit(error.code)
        except BrokenPipeError:
            sys.stderr.close()  # whoever read our output has had enough
            sys.exit(0)

    return told


def show_error(error: RedkeepError) -> None:
    err.print(Text.assemble(("redkeep: ", "bold"), (f"{error}", "red")))
    err.print(Text(f"  {error.hint}  [{error.name}, {error.code}]", style="dim"))


def size(count: float | None) -> str:
    """Bytes for people.

    >>> size(0), size(1536), size(79384672)
    ('0 B', '1.5 KiB', '75.7 MiB')
    """
    if count is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def seconds(count: float | None) -> str:
    """A duration for people.

    >>> seconds(0.42), seconds(75), seconds(7300), seconds(200000)
    ('0.4 s', '1 min 15 s', '2 h 1 min', '2 d 7 h')
    """
    if count is None:
        return "-"
    if count < 60:
        return f"{count:.1f} s"
    for large, small, unit in ((86_400, 3600, ("d", "h")), (3600, 60, ("h", "min")), (60, 1, ("min", "s"))):
        if count >= large:
            return f"{count // large:.0f} {unit[0]} {count % large // small:.0f} {unit[1]}"
    raise AssertionError(count)


def age(moment: datetime | None) -> str:
    """How long ago, for people; a dash for never."""
    return "-" if moment is None else f"{seconds(max((datetime.now(UTC) - moment).total_seconds(), 0))} ago"


def clock(moment: datetime | None) -> str:
    """A moment in UTC, for people; a dash for none."""
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")

"""How the commands speak: tables and lines for people, one JSON object for programs, errors with their hint."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn, ParamSpec

import click
from kombu.exceptions import OperationalError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.errors import ControlUnreachable, RedkeepError

__all__ = ["age", "errors_told", "json_option", "out", "say", "size", "table"]

P = ParamSpec("P")

PIPE_WIDTH = 200
"""Columns of a table that goes into a file or another program: no row is folded there."""

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(highlight=False, soft_wrap=True, stderr=True)

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")


def say(text: str, style: str = "") -> None:
    """A line for people, on standard error, so that standard output stays data."""
    err.print(Text(text, style=style))


def emit(value: Any) -> None:
    """The one JSON value of a command called with --json."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def table(*columns: str, wrap: str = "no") -> Table:
    """A plain table. A column whose name ends in ">" is right-aligned; the last one takes what width is left."""
    made = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True, expand=True)
    for column in columns[:-1]:
        made.add_column(column.rstrip(">"), justify="right" if column.endswith(">") else "left", no_wrap=True)
    made.add_column(columns[-1], overflow="ellipsis" if wrap == "no" else "fold", no_wrap=wrap == "no", ratio=1)
    return made


def errors_told(command: Callable[P, None]) -> Callable[P, None]:
    """Show an error of ours as two lines (with --json as an object), and exit with its code."""

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RedkeepError as error:
            _end(error, as_json=bool(kwargs.get("as_json")))
        except OperationalError as error:  # kombu's, where Celery itself speaks to the broker
            detail = str(error).partition("\n")[0]
            _end(ControlUnreachable("the control Redis does not serve", detail=detail), as_json=False)
        except BrokenPipeError:
            sys.stderr.close()  # whoever read our output has had enough
            sys.exit(0)

    return told


def _end(error: RedkeepError, *, as_json: bool) -> NoReturn:
    if as_json:
        emit({"error": error.as_dict()})
    else:
        show_error(error)
    sys.exit(error.code)


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
    if moment is None:
        return "-"
    past = max((datetime.now(UTC) - moment).total_seconds(), 0)
    for length, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if past >= length:
            return f"{past // length:.0f} {unit} ago"
    return f"{past:.0f} s ago"


def clock(moment: datetime | None) -> str:
    """A moment in UTC, for people; a dash for none."""
    return "-" if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")

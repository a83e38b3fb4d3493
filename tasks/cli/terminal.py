"""How the commands speak: tables and lines for people, one JSON object for programs, errors with their hint."""

from __future__ import annotations

import functools
import getpass
import json
import os
import socket
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, ParamSpec

import click
from kombu.exceptions import OperationalError
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tasks.errors import ControlUnreachable, RedkeepError
from tasks.words import age, clock, seconds, size

__all__ = [
    "INTERRUPTED",
    "age",
    "clock",
    "emit",
    "errors_told",
    "json_option",
    "out",
    "say",
    "seconds",
    "show_table",
    "size",
    "whoami",
]

P = ParamSpec("P")

INTERRUPTED = 130
"""Exit code after Ctrl-C, as the shells have it."""
GAP = 1
NOTE = 24
"""Columns that the last column of a table needs at least, to be worth reading."""


class _Output(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


out = _Output(highlight=False, soft_wrap=True)
err = Console(highlight=False, soft_wrap=True, stderr=True)

json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object on standard output.")


def say(text: str, style: str = "") -> None:
    """A line for people, on standard error, so that standard output stays data."""
    err.print(Text(text, style=style))


def emit(value: Any) -> None:
    """The one JSON value of a command called with --json."""
    _write(json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n")


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()  # where nobody reads any more it fails now, and not when the interpreter ends


def show_table(
    columns: Sequence[str], rows: Sequence[Sequence[Text | str]], *, drop: Sequence[str] = (), fold: bool = False
) -> None:
    """Print a plain table. Only the last column is ever cut (or folded): an id or a size that is not all there
    is of no use.

    Args:
        columns: one whose name ends in ">" is right-aligned.
        drop: columns that a narrow terminal does without, the first one first.
        fold: the last column goes on in further lines.
    """
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    widths = [max(len(name.rstrip(">")), *(_width(row[at]) for row in cells), 0) for at, name in enumerate(columns)]
    whole = sum(widths) + GAP * (len(widths) - 1)
    room = out.width if out.is_terminal else whole  # a file, grep and cut get every row whole
    kept = _fitting(columns, widths, drop, room)
    widths[-1] = min(widths[-1], max(room - sum(widths[at] + GAP for at in kept[:-1]), 1))
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
    for at in kept:
        justify: Any = "right" if columns[at].endswith(">") else "left"
        cut = fold and at == kept[-1]
        overflow: Any = "fold" if cut else "ellipsis"
        made.add_column(columns[at].rstrip(">"), justify=justify, no_wrap=not cut, overflow=overflow, width=widths[at])
    for row in cells:
        made.add_row(*(row[at] for at in kept))
    if out.is_terminal:
        out.print(made)
        return
    wide = Console(highlight=False, width=whole, color_system=None)
    with wide.capture() as captured:
        wide.print(made)
    _write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def _width(cell: Text) -> int:
    return max((cell_len(line) for line in cell.plain.splitlines()), default=0)


def _fitting(columns: Sequence[str], widths: Sequence[int], drop: Sequence[str], room: int) -> list[int]:
    """Which columns are shown, so that the last one still has room."""
    kept, last = list(range(len(columns))), len(columns) - 1
    for name in drop:
        needed = sum(widths[at] + GAP for at in kept if at != last) + min(widths[last], NOTE)
        if needed <= room:
            break
        kept = [at for at in kept if columns[at].rstrip(">") != name]
    return kept


def errors_told(command: Callable[P, None]) -> Callable[P, None]:
    """Show an error of ours as two lines (with --json as an object), and exit with its code. Ctrl-C and a reader of
    our output that has gone end the command without a word."""

    @functools.wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except RedkeepError as error:
            _end(error, as_json=bool(kwargs.get("as_json")))
        except OperationalError as error:  # kombu's, where Celery itself speaks to the broker
            detail = str(error).partition("\n")[0]
            error_of_ours = ControlUnreachable("the control Redis does not serve", detail=detail)
            _end(error_of_ours, as_json=bool(kwargs.get("as_json")))
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)
        except BrokenPipeError:  # whoever read our output has had enough
            discard_output()

    return told


def discard_output() -> None:
    """Where nobody reads any more: at its exit the interpreter would flush what is left, and complain."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, sys.stdout.fileno())
    os.close(nothing)


def _end(error: RedkeepError, *, as_json: bool) -> NoReturn:
    if as_json:
        emit({"error": error.as_dict()})
    else:
        show_error(error)
    sys.exit(error.code)


def show_error(error: RedkeepError) -> None:
    err.print(Text.assemble(("redkeep: ", "bold"), (f"{error}", "red")))
    err.print(Text(f"  {error.hint}  [{error.name}, {error.code}]", style="dim"))


def whoami() -> str:
    """Who calls, for records: a container's user may have no name."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = f"uid {os.getuid()}"
    return f"{user}@{socket.gethostname()}"

"""init and check: from nothing to a first backup."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
from kombu.exceptions import OperationalError

from tasks.beginning import begin
from tasks.check import check as findings
from tasks.cli.terminal import emit, errors_told, json_option, out, table
from tasks.errors import ControlUnreachable
from tasks.settings import current, target_of, where

__all__ = ["check", "init"]

LEVELS = {"ok": "green", "warn": "yellow", "fail": "red"}
ANSWER_WITHIN = 1.0
"""Seconds that workers and beat have to answer."""


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False), metavar="[DIR]")
@json_option
@errors_told
def init(folder: Path, as_json: bool) -> None:
    """Write a commented redkeep.toml and the keys into DIR. Overwrites nothing."""
    written = begin(folder.absolute())
    if as_json:
        emit({name: str(value) for name, value in vars(written).items()})
        return
    out.print(f"Wrote {written.settings}, {written.identity.name} and {written.signing_key.name}. Now:")
    out.print(f"  1. Copy {written.identity} off this host, then delete it here: it alone reads the backups.")
    out.print(f"  2. Name your Redis and your store in {written.settings}.")
    out.print(f"  3. export REDKEEP_CONFIG={written.settings}; redkeep check")


@click.command()
@click.argument("target", required=False)
@json_option
@errors_told
def check(target: str | None, as_json: bool) -> None:
    """Look at all that a backup needs, and say what to do. Exits 1 where something fails."""
    settings = current()
    targets = [target_of(settings, target)] if target else list(settings.target)
    found = list(findings(settings, targets, _serving))
    if as_json:
        emit([vars(each) for each in found])
    else:
        out.print(f"[dim]{where()}[/]")
        shown = table("", "WHAT", "FOUND", wrap="yes")
        for each in found:
            told = each.told.replace("[", r"\[")
            remedy = f"\n[dim]-> {each.remedy.replace('[', chr(92) + '[')}[/]" if each.remedy else ""
            shown.add_row(f"[{LEVELS[each.level]}]{each.level}[/]", each.what, told + remedy)
        out.print(shown)
    sys.exit(1 if any(each.level == "fail" for each in found) else 0)


def _serving() -> dict[str, list[str]]:
    """The queues of each worker that answers; beat answers with none."""
    from tasks.celery import app  # noqa: PLC0415

    inspect = app.control.inspect(timeout=ANSWER_WITHIN)
    try:
        queues: dict[str, Any] = dict(inspect.active_queues() or {})
        alive: dict[str, Any] = dict(inspect.ping() or {})
    except OperationalError:
        raise ControlUnreachable("nobody can be asked without the control Redis") from None
    return {name: [each["name"] for each in queues.get(name) or []] for name in {*queues, *alive}}

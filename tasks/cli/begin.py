"""init and check: from nothing to a first backup."""

from __future__ import annotations

import shlex
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
from kombu.exceptions import OperationalError
from rich.text import Text

from tasks.beginning import begin
from tasks.check import Finding
from tasks.check import check as findings
from tasks.cli.terminal import emit, errors_told, json_option, out, say, show_table
from tasks.errors import CheckFailed, ControlUnreachable
from tasks.settings import SYSTEM_WIDE, current, target_of, where

__all__ = ["check", "init"]

LEVELS = {"ok": "green", "warn": "yellow", "fail": "red"}
ANSWER_WITHIN = 1.5
"""Seconds that workers and beat have to answer."""


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False), metavar="[DIR]")
@click.option("--redis", "server", default="redis://127.0.0.1:6379", show_default=True, help="The Redis under care.")
@click.option("--data-dir", default="", help="Where its files are seen from here.")
@click.option("--control", default="redis://127.0.0.1:6379/0", show_default=True, help="The control Redis.")
@click.option("--store", default="file:///var/backups/redkeep", show_default=True, help="Or s3://bucket/prefix.")
@click.option("--endpoint-url", default="", help="The S3-compatible server, where it is not AWS.")
@click.option("--region", default="", help="The bucket's region.")
@json_option
@errors_told
def init(folder: Path, as_json: bool, **answers: str) -> None:
    """Write a commented redkeep.toml and the keys into DIR. Overwrites nothing."""
    written = begin(folder.absolute(), **answers)
    if as_json:
        emit({name: str(value) for name, value in vars(written).items()})
        return
    steps = [
        f"Wrote {written.settings}, {written.identity.name} and {written.signing_key.name}. Now:",
        f"  1. Copy {written.identity} off this host, then delete it here: it alone reads the backups.",
        f"  2. Name your Redis and your store in {written.settings}.",
        f"  3. {_named(written.settings)}redkeep check",
    ]
    out.print("\n".join(steps), markup=False)


@click.command()
@click.argument("target", required=False)
@json_option
@errors_told
def check(target: str | None, as_json: bool) -> None:
    """Look at all that the tasks need, and say what to do. Exits 58 where something fails."""
    settings = current()
    targets = [target_of(settings, target)] if target else list(settings.target)
    found = list(findings(settings, targets, _serving))
    if as_json:
        emit([vars(each) for each in found])
    else:
        say(str(where()), "dim")
        show_table(("", "WHAT", "FOUND"), [_row(each) for each in found], fold=True)
    sys.exit(CheckFailed.code if any(each.level == "fail" for each in found) else 0)


def _named(settings: Path) -> str:
    """What it takes for the other commands to find these settings."""
    return "" if settings == SYSTEM_WIDE else f"export REDKEEP_CONFIG={shlex.quote(str(settings))}; "


def _row(found: Finding) -> list[Text | str]:
    remedy = (f"\n-> {found.remedy}", "dim") if found.remedy else ""
    return [Text(found.level, LEVELS[found.level]), found.what, Text.assemble(found.told, remedy)]


def _serving() -> dict[str, list[str]]:
    """The queues of each worker that answers; beat, which knows no other question than a ping, answers with none."""
    from tasks.celery import app  # noqa: PLC0415

    inspect = app.control.inspect(timeout=ANSWER_WITHIN)
    try:
        with ThreadPoolExecutor(2) as pool:  # each waits all of its time for whoever may still answer
            asked, pinged = pool.submit(inspect.active_queues), pool.submit(inspect.ping)
        queues, alive = asked.result() or {}, pinged.result() or {}
    except OperationalError:
        raise ControlUnreachable("nobody can be asked without the control Redis") from None
    return {name: [each["name"] for each in queues.get(name) or []] for name in {*queues, *alive}}

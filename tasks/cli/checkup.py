"""check: the doctor's table, and its exit code."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import click
from kombu.exceptions import OperationalError
from rich.text import Text

from tasks.check import Finding
from tasks.check import check as findings
from tasks.cli.terminal import emit, errors_told, json_option, say, show_table
from tasks.errors import CheckFailed, ControlUnreachable
from tasks.settings import current, target_of, where

__all__ = ["check"]

LEVELS = {"ok": "green", "warn": "yellow", "fail": "red"}
ANSWER_WITHIN = (1.0, 2.0)
"""Seconds that workers and beat have to answer; the second only where somebody is missed, for a busy machine."""


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


def _row(found: Finding) -> list[Text | str]:
    remedy = (f"\n-> {found.remedy}", "dim") if found.remedy else ""
    return [Text(found.level, LEVELS[found.level]), found.what, Text.assemble(found.told, remedy)]


def _serving() -> dict[str, list[str]]:
    """The queues of each worker that answers; beat, which knows no other question than a ping, answers with none."""
    answers: dict[str, list[str]] = {}
    for patience in ANSWER_WITHIN:
        answers |= _answering(patience)
        if any(answers.values()) and not all(answers.values()):  # workers and beat: nobody was just slow
            break
    return answers


def _answering(patience: float) -> dict[str, list[str]]:
    from tasks.celery import app  # noqa: PLC0415

    inspect = app.control.inspect(timeout=patience)
    try:
        with ThreadPoolExecutor(2) as pool:  # each waits all of its time for whoever may still answer
            asked, pinged = pool.submit(inspect.active_queues), pool.submit(inspect.ping)
        queues, alive = asked.result() or {}, pinged.result() or {}
    except OperationalError:
        raise ControlUnreachable("nobody can be asked without the control Redis") from None
    return {name: [each["name"] for each in queues.get(name) or []] for name in {*queues, *alive}}

"""alert test: whether those who are to be told can be told."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import click
from rich.text import Text

from tasks import alerts
from tasks.cli.terminal import emit, errors_told, json_option, out, show_error
from tasks.errors import AlertsUnset, AlertUndelivered
from tasks.names import origin_of
from tasks.settings import Settings, current
from tasks.watch import probe

__all__ = ["alert"]


@click.group()
def alert() -> None:
    """Webhook and heartbeat: `redkeep alert test` sends a marked test to both."""


@alert.command()
@json_option
@errors_told
def test(as_json: bool) -> None:
    """Send a marked test to webhook and heartbeat, and tell what each answered.

    The heartbeat gets a good beat: to whoever waits for it, a backup has just succeeded.
    """
    answers = [_answer(what, where, send) for what, where, send in _receivers(current())]
    if not answers:
        raise AlertsUnset("[alerts] has neither webhook_url nor heartbeat_url")
    failed = [each["error"] for each in answers if each["error"] is not None]
    if as_json:
        emit([each | {"error": each["error"] and each["error"].as_dict()} for each in answers])
    else:
        for each in answers:
            _show(each)
    if failed:
        sys.exit(failed[0].code)


def _receivers(settings: Settings) -> Iterator[tuple[str, str, Callable[[], int]]]:
    webhook, heartbeat = settings.alerts.webhook_url, settings.alerts.heartbeat_url
    if webhook:
        yield "webhook", origin_of(webhook.get_secret_value()), lambda: alerts.post(webhook, probe())
    if heartbeat:
        one_each = "{target}" in heartbeat.get_secret_value()
        for target in settings.target if one_each else settings.target[:1]:
            what = f"heartbeat of {target.name}" if one_each else "heartbeat"
            where = origin_of(heartbeat.get_secret_value())
            yield what, where, lambda name=target.name: alerts.beat(heartbeat, name, good=True, test=True)  # type: ignore[misc]


def _answer(what: str, where: str, send: Callable[[], int]) -> dict[str, Any]:
    try:
        return {"receiver": what, "at": where, "status": send(), "error": None}
    except AlertUndelivered as error:
        return {"receiver": what, "at": where, "status": None, "error": error}


def _show(answer: dict[str, Any]) -> None:
    if answer["error"] is not None:
        show_error(answer["error"])
    else:
        out.print(Text.assemble(("✓ ", "green"), f"{answer['receiver']} at {answer['at']}: HTTP {answer['status']}"))

"""worker, beat, flower: Celery's own processes, started so that nothing in the current directory is taken for ours."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click

from tasks.cli.terminal import errors_told
from tasks.errors import SettingsInvalid
from tasks.settings import current

__all__ = ["beat", "flower", "worker"]

_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True}


@click.command(context_settings=_PASSED_ON)
@click.argument("queues", nargs=-1, required=True, metavar="QUEUE...")
@click.option("--name", help="The worker's name in Flower; else its first queue and this host.")
@click.option("--loglevel", default="info", show_default=True)
@click.pass_context
@errors_told
def worker(ctx: click.Context, queues: tuple[str, ...], name: str | None, loglevel: str) -> None:
    """Work on one or more queues: backup, tidy, rewrite, drill, housekeeping.

    What follows `--` goes to `celery worker` as it is.
    """
    wanted = [queue for queue in queues if not queue.startswith("-")]
    _check_queues(wanted)
    named = name or f"{wanted[0]}@%h"
    arguments = ["worker", "-Q", ",".join(wanted), "-n", named, "-l", loglevel, "--without-mingle", "--without-gossip"]
    _start([*arguments, *[queue for queue in queues if queue.startswith("-")], *ctx.args])


def _check_queues(wanted: list[str]) -> None:
    from tasks.schedule import queues as known  # noqa: PLC0415

    there = known(current())
    for queue in wanted:
        if queue not in there:
            raise SettingsInvalid(f"no queue is called {queue!r}", hint=f"Queues here: {', '.join(there)}.")


@click.command(context_settings=_PASSED_ON)
@click.option(
    "--schedule",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where beat remembers what it sent last; keep it across restarts.",
)
@click.option("--loglevel", default="info", show_default=True)
@click.pass_context
@errors_told
def beat(ctx: click.Context, schedule: Path | None, loglevel: str) -> None:
    """Send what is due. Two of them are harmless: each slot is done once."""
    current()
    _start(["beat", "-s", str(schedule or _beat_file()), "--pidfile=", "-l", loglevel, *ctx.args])


def _beat_file() -> Path:
    """systemd's StateDirectory, else the user's state folder: never the current directory."""
    state = os.environ.get("STATE_DIRECTORY") or os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    folder = Path(state) / "redkeep"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="redkeep-beat-"))
    return folder / "beat-schedule"


@click.command(context_settings=_PASSED_ON)
@click.option("--address", default="127.0.0.1", show_default=True)
@click.option("--port", default=5555, show_default=True)
@click.option("--no-password", is_flag=True, help="Let everybody in who can reach the address.")
@click.pass_context
@errors_told
def flower(ctx: click.Context, address: str, port: int, no_password: bool) -> None:
    """The dashboard. Its user and password come from FLOWER_BASIC_AUTH=user:password."""
    current()
    if not os.environ.get("FLOWER_BASIC_AUTH") and not no_password:
        raise SettingsInvalid(
            "flower has no password",
            hint="Set FLOWER_BASIC_AUTH=user:password; or say --no-password.",
        )
    _start(["flower", f"--address={address}", f"--port={port}", *ctx.args])


def _start(arguments: list[str]) -> None:
    from tasks.celery import app  # noqa: PLC0415

    sys.argv = ["redkeep", *arguments]
    sys.exit(app.start(argv=arguments))

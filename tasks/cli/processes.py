"""worker, beat, flower: Celery's own processes, started so that nothing in the current directory is taken for ours."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
from pathlib import Path

import click

from tasks.cli.look import reach_control
from tasks.cli.terminal import errors_told
from tasks.errors import NoWorker, SettingsInvalid
from tasks.settings import current

__all__ = ["beat", "flower", "worker"]

ANSWER_WITHIN = 5.0
"""Seconds that a process has to answer its health check; a busy worker answers from its parent, so at once."""
_PASSED_ON = {"ignore_unknown_options": True, "allow_extra_args": True}


@click.command(context_settings=_PASSED_ON)
@click.argument("queues", nargs=-1, required=True, metavar="QUEUE...")
@click.option("--name", help="The worker's name in Flower; else its first queue and this host.")
@click.option("--loglevel", default="info", show_default=True)
@click.option("--ping", is_flag=True, help="Ask this worker whether it lives; exit 28 where it does not answer.")
@click.pass_context
@errors_told
def worker(ctx: click.Context, queues: tuple[str, ...], name: str | None, loglevel: str, ping: bool) -> None:
    """Work on queues: backup, tidy, rewrite, drill, housekeeping.

    What follows `--` goes to `celery worker` as it is.
    """
    wanted = list(itertools.takewhile(lambda word: not word.startswith("-"), queues))
    _check_queues(wanted)
    named = name or f"{wanted[0]}@%h"
    if ping:
        _ping(named)
        return
    arguments = ["worker", "-Q", ",".join(wanted), "-n", named, "-l", loglevel, "--without-mingle", "--without-gossip"]
    _start([*arguments, *queues[len(wanted) :], *ctx.args])


def _check_queues(wanted: list[str]) -> None:
    from tasks.schedule import queues as known  # noqa: PLC0415

    if not wanted:
        raise click.UsageError("Name at least one queue before the options for `celery worker`.")
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
@click.option("--ping", is_flag=True, help="Ask this host's beat whether it lives; exit 28 where it does not answer.")
@click.pass_context
@errors_told
def beat(ctx: click.Context, schedule: Path | None, loglevel: str, ping: bool) -> None:
    """Send what is due. Two of them are harmless: each slot is done once."""
    current()
    if ping:
        _ping("celerybeat@%h")
        return
    _start(["beat", "-s", str(schedule or _beat_file()), "--pidfile=", "-l", loglevel, *ctx.args])


def _beat_file() -> Path:
    """systemd's StateDirectory, else the user's state folder: never the current directory."""
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    folder = Path(os.environ.get("STATE_DIRECTORY") or home / "redkeep")
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
    """The dashboard, redkeep's own page in it. Its user and password come from FLOWER_BASIC_AUTH=user:password."""
    current()
    if not os.environ.get("FLOWER_BASIC_AUTH") and not no_password:
        raise SettingsInvalid(
            "flower has no password",
            hint="Set FLOWER_BASIC_AUTH=user:password; or say --no-password.",
        )
    from tasks import dashboard  # noqa: PLC0415

    # Unasked, Flower runs a flowerconfig.py that lies in the current directory.
    own = [] if os.environ.get("FLOWER_CONF") else [f"--conf={dashboard.CONFIG}"]
    dashboard.install()
    _start(["flower", f"--address={address}", f"--port={port}", *own, *ctx.args])


def _ping(named: str) -> None:
    """
    Raises:
        NoWorker: nobody of that name answers.
    """
    from celery.utils.nodenames import default_nodename, host_format  # noqa: PLC0415

    from tasks.celery import app  # noqa: PLC0415

    reach_control()
    node = host_format(default_nodename(named))
    if not app.control.inspect(destination=[node], timeout=ANSWER_WITHIN).ping():
        raise NoWorker(f"{node} does not answer")


def _start(arguments: list[str]) -> None:
    from tasks.celery import app  # noqa: PLC0415

    sys.argv = ["redkeep", *arguments]
    sys.exit(app.start(argv=arguments))

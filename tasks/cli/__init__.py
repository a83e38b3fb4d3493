"""The command ``redkeep``: the same verbs as the Celery tasks, for a terminal.

Each command's module is imported when it is called: `redkeep --help` and `redkeep backups` need not wait for what
a worker needs.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from pathlib import Path

import click
from click_didyoumean import DYMGroup  # type: ignore[import-untyped]

from tasks.errors import USAGE_EXIT

__all__ = ["main"]

COMMANDS = {
    "init": "begin.init",
    "check": "checkup.check",
    "run": "run.run",
    "cancel": "steer.cancel",
    "pause": "steer.pause",
    "resume": "steer.resume",
    "status": "status.status",
    "history": "look.history",
    "show": "look.show",
    "untidy": "untidy.untidy",
    "memory": "memory.memory",
    "backups": "shelf.backups",
    "verify": "prove.verify",
    "fetch": "shelf.fetch",
    "restore": "recover.restore",
    "hold": "keeping.hold",
    "release": "keeping.release",
    "acknowledge": "keeping.acknowledge",
    "alert": "alert.alert",
    "worker": "processes.worker",
    "beat": "processes.beat",
    "flower": "processes.flower",
    "demo": "demonstrate.demo",
}
"""Where each command stands, in the order of ``redkeep --help``."""


class _Commands(DYMGroup):  # type: ignore[misc]
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place.partition(".")
        found: click.Command = getattr(importlib.import_module(f"tasks.cli.{module}"), name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Each command's first sentence whole: click would cut it off at the line's end."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(limit=500)) for name, each in found if each is not None])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The settings file; else REDKEEP_CONFIG, else /etc/redkeep/redkeep.toml.",
)
@click.version_option(package_name="redkeep", prog_name="redkeep")
def redkeep(config: Path | None) -> None:
    """Keeps a Redis safe without ever taking the site down."""
    if config is not None:
        os.environ["REDKEEP_CONFIG"] = str(config.absolute())


def main(arguments: Sequence[str] | None = None) -> None:
    """The console script. Exits 64 where the command line cannot be understood."""
    click.UsageError.exit_code = USAGE_EXIT
    # A worker that is told to end gives its message back at once. Must stand before billiard is first imported.
    os.environ.setdefault("REMAP_SIGTERM", "SIGQUIT")
    redkeep(args=arguments, prog_name="redkeep")

"""init: from nothing to settings and keys, with whatever this machine tells by itself."""

from __future__ import annotations

import shlex
import socket
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click

from tasks.beginning import Beginning, begin
from tasks.cli.terminal import emit, errors_told, json_option, out
from tasks.discovery import Found, discover, look
from tasks.proposal import Proposal, propose
from tasks.settings import SYSTEM_WIDE

__all__ = ["init"]

NOWHERE = "redis://127.0.0.1:6379"
"""What the settings say where no server was found or named."""
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path, file_okay=False), metavar="[DIR]")
@click.option("--redis", "server", help="The Redis under care; else one that is found on this machine.")
@click.option("--data-dir", help="Where its files are seen from here; else where it says, if that is here.")
@click.option("--control", help="The control Redis; else an empty one found here, or the one under care.")
@click.option("--store", default="file:///var/backups/redkeep", show_default=True, help="Or s3://bucket/prefix.")
@click.option("--endpoint-url", default="", help="The S3-compatible server, where it is not AWS.")
@click.option("--region", default="", help="The bucket's region.")
@click.option("--recipient", "recipients", multiple=True, help="A further age1... key that may read the backups.")
@json_option
@errors_told
def init(
    folder: Path, server: str | None, data_dir: str | None, control: str | None, as_json: bool, **answers: Any
) -> None:
    """Write a commented redkeep.toml and the keys into DIR. Overwrites nothing."""
    proposal = _proposed(server, ask=sys.stdin.isatty() and not as_json)
    fields: dict[str, Any] = {"server": server or NOWHERE, "control": f"{NOWHERE}/0"}
    if proposal is not None:
        names = ("server", "control", "data_dir", "host", "minutes")
        fields = {name: getattr(proposal, name) for name in names}
    given = {"server": server, "data_dir": data_dir, "control": control}
    fields |= {name: value for name, value in given.items() if value is not None}
    written = begin(folder.absolute(), **fields, **answers)
    if as_json:
        found = {"found": proposal.found if proposal else None}
        emit({name: str(value) for name, value in vars(written).items()} | found)
        return
    reasons = proposal.reasons if proposal else [] if server else ["Found no Redis on this machine."]
    named = server is not None or proposal is not None
    out.print("\n".join([*reasons, *_next(written, named=named)]), markup=False)


def _proposed(server: str | None, *, ask: bool) -> Proposal | None:
    """What this machine tells: of the server that was named, if that is here, else of those that are found."""
    if server is not None:
        named = look(server) if _is_here(server) else None
        return propose(named, [], socket.gethostname()) if named else None
    found = discover()
    if not found:
        return None
    chosen = _chosen(found) if ask and len(found) > 1 else found[0]
    return propose(chosen, [each for each in found if each is not chosen], socket.gethostname())


def _is_here(server: str) -> bool:
    """Whether asking it goes nowhere but to this machine. An address with a ${NAME} in it is not asked."""
    parts = urlsplit(server)
    return "${" not in server and (parts.scheme == "unix" or parts.hostname in LOOPBACK)


def _chosen(found: list[Found]) -> Found:
    """The one to be kept, asked for at a terminal."""
    click.echo("More than one Redis is here:")
    for number, each in enumerate(found, 1):
        click.echo(f"  {number}. {each}")
    number = click.prompt("Which one is to be kept?", default=1, type=click.IntRange(1, len(found)))
    return found[number - 1]


def _next(written: Beginning, *, named: bool) -> list[str]:
    what = "your store" if named else "your Redis and your store"
    return [
        f"Wrote {written.settings}, {written.identity.name} and {written.signing_key.name}. Now:",
        f"  1. Copy {written.identity} off this host now, then delete it here: it alone reads the backups.",
        f"  2. Name {what} in {written.settings}, and a second recipient if you have one.",
        f"  3. {_where(written.settings)}redkeep check",
    ]


def _where(settings: Path) -> str:
    """What it takes for the other commands to find these settings."""
    return "" if settings == SYSTEM_WIDE else f"export REDKEEP_CONFIG={shlex.quote(str(settings))}; "

"""demo: everything at once on this machine."""

from __future__ import annotations

import click

from tasks.cli.terminal import errors_told, out
from tasks.demo import MEGABYTES
from tasks.demo import demo as tell

__all__ = ["demo"]


@click.command()
@click.option("--stay", is_flag=True, help="Leave everything running until Ctrl-C, and print the addresses.")
@click.option("--megabytes", default=MEGABYTES, show_default=True, type=click.IntRange(4, 20_000), help="Of data.")
@errors_told
def demo(stay: bool, megabytes: int) -> None:
    """Show all of it on this machine, and leave nothing.

    Data, servers, worker, beat, Flower, backups, tidy, a drill, and the way back, in one temporary folder.
    """
    out.print("[bold]redkeep demo[/]: everything runs on loopback, in one temporary folder.")
    tell(_say, stay=stay, megabytes=megabytes)
    out.print("[bold green]Done.[/]")


def _say(title: str, told: str) -> None:
    out.print(f"[green]✓[/] [bold]{title}[/]")
    for line in told.splitlines():
        out.print("   ", line, markup=False)

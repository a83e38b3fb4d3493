"""verify: is a backup what its manifest says, and would it load? Needs the store and an identity, nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from tasks import catalog
from tasks.cli.bar import progress_bar
from tasks.cli.shelf import identity_option, known_target, opened_store, store_options
from tasks.cli.terminal import emit, err, errors_told, json_option, out, say, seconds, size, whoami
from tasks.settings import current, target_of
from tasks.verify import examine

__all__ = ["verify"]


@click.command()
@click.argument("backup", metavar="ID|latest")
@click.argument("target")
@identity_option
@store_options
@json_option
@errors_told
def verify(
    backup: str,
    target: str,
    identity_files: tuple[Path, ...],
    store_url: str | None,
    endpoint_url: str | None,
    region: str | None,
    as_json: bool,
) -> None:
    """Download a backup once, and see whether it is whole, authentic and loadable. Its verdict is kept in the store."""
    store = opened_store(store_url, endpoint_url, region)
    backup_id = catalog.resolve(store, known_target(target, store_url), backup)
    warnings: list[str] = []
    with progress_bar(err, disable=as_json or not err.is_terminal) as progress:
        bar = progress.add_task("verify", total=None)
        figures = examine(
            store,
            target,
            backup_id,
            by=whoami(),
            progress=lambda done, total: progress.update(bar, completed=done, total=total),
            warn=lambda text: warnings.append(text) if text else None,
            **_by_settings(target, identity_files, with_settings=store_url is None),
        )
    if as_json:
        emit({"id": backup_id, "target": target, "good": True} | figures | {"warnings": warnings})
        return
    for warning in warnings:
        say(f"{warning[0].upper()}{warning[1:]}.", "yellow")
    out.print(f"Backup {backup_id} is good: {size(figures['bytes'])} in {seconds(figures['seconds'])}.")
    out.print(f"  structure {figures['structure']}: {figures['checker']}", markup=False)


def _by_settings(target: str, named: tuple[Path, ...], *, with_settings: bool) -> dict[str, Any]:
    if not with_settings:
        return {"identity_files": named, "trusted": ()}
    encryption, drill = current().encryption, target_of(current(), target).drill
    return {
        "identity_files": named or encryption.identity_files,
        "trusted": encryption.trusted_signers,
        "server": drill.redis_server if drill else None,
    }

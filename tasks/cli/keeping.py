"""hold, release and acknowledge: what a person has to say about what retention may remove."""

from __future__ import annotations

import click

from tasks import catalog, holds
from tasks.cli.shelf import known_target, opened_store, store_options
from tasks.cli.terminal import emit, errors_told, json_option, say, whoami
from tasks.retention import acknowledge as acknowledged
from tasks.settings import current, target_of
from tasks.store import open_store

__all__ = ["acknowledge", "hold", "release"]


@click.command()
@click.argument("backup", metavar="ID|latest")
@click.argument("target")
@click.option("--why", required=True, help="Shown wherever the backup is.")
@store_options
@json_option
@errors_told
def hold(
    backup: str,
    target: str,
    why: str,
    store_url: str | None,
    endpoint_url: str | None,
    region: str | None,
    as_json: bool,
) -> None:
    """Keep a backup whatever the policy says, until it is released."""
    store = opened_store(store_url, endpoint_url, region)
    backup_id = catalog.resolve(store, known_target(target, store_url), backup)
    held = holds.hold(store, target, backup_id, why=why, by=whoami())
    if as_json:
        emit(held.model_dump(mode="json"))
    else:
        say(f"Backup {backup_id} of {target} is kept: {why}.")


@click.command()
@click.argument("backup", metavar="ID|latest")
@click.argument("target")
@store_options
@json_option
@errors_told
def release(
    backup: str, target: str, store_url: str | None, endpoint_url: str | None, region: str | None, as_json: bool
) -> None:
    """Leave a held backup to the policy again."""
    store = opened_store(store_url, endpoint_url, region)
    backup_id = catalog.resolve(store, known_target(target, store_url), backup)
    was_held = holds.release(store, target, backup_id)
    if as_json:
        emit({"id": backup_id, "target": target, "was_held": was_held})
    else:
        say(f"Backup {backup_id} of {target} {'is released' if was_held else 'was not held'}.")


@click.command()
@click.argument("target")
@json_option
@errors_told
def acknowledge(target: str, as_json: bool) -> None:
    """Say that no data is missing after a backup that shrank, so that retention goes on."""
    settings = current()
    known = target_of(settings, target)
    store = open_store(**settings.store.arguments())
    frozen = acknowledged(store, known.name, known.backup, settings.encryption.trusted_signers, by=whoami())
    if as_json:
        emit({"target": target, "acknowledged": frozen or None})
    elif frozen:
        say(f"Acknowledged: {frozen}. Retention of {target} goes on with its next run.")
    else:
        say(f"Retention of {target} is not frozen; there was nothing to acknowledge.")

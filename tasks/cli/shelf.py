"""backups and fetch: what the store holds. With --store nothing else is needed: no settings file, no control Redis."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from tasks import catalog
from tasks.cli.terminal import age, emit, err, errors_told, json_option, out, say, size, table
from tasks.errors import IdentityMissing, SettingsMissing
from tasks.manifest import Manifest
from tasks.names import moment_of
from tasks.restore import fetch as fetched
from tasks.restore import to_file, to_stream
from tasks.settings import current, target_of
from tasks.store import Store, open_store
from tasks.stream import age as age_stage

__all__ = ["backups", "fetch", "opened_store", "store_options"]


def store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """--store, --endpoint-url and --region, in place of a settings file."""
    for option in (
        click.option("--region", help="With --store: the bucket's region."),
        click.option("--endpoint-url", help="With --store: the S3-compatible server."),
        click.option("--store", "store_url", help="s3://bucket/prefix or file:///folder, in place of the settings."),
    ):
        command = option(command)
    return command


def opened_store(url: str | None, endpoint_url: str | None, region: str | None) -> Store:
    """The store named on the command line, else that of the settings."""
    if url is None:
        try:
            return open_store(**current().store.arguments())
        except SettingsMissing as missing:
            missing.hint = "Name the store with --store s3://bucket/prefix, or the settings file with --config."
            raise
    return open_store(url, endpoint_url=endpoint_url, region=region)


def known_target(name: str, url: str | None) -> str:
    """The target's name; checked where there are settings to check it against."""
    return name if url else target_of(current(), name).name


@click.command()
@click.argument("target")
@store_options
@json_option
@errors_told
def backups(target: str, store_url: str | None, endpoint_url: str | None, region: str | None, as_json: bool) -> None:
    """List the target's backups, newest first."""
    store = opened_store(store_url, endpoint_url, region)
    found = sorted(catalog.entries(store, known_target(target, store_url)), key=lambda entry: entry.id, reverse=True)
    if as_json:
        emit([_flat(entry) for entry in found])
        return
    if not found:
        others = ", ".join(catalog.targets(store)) or "none"
        say(f"No backups of {target} at {store.url}. Targets with backups there: {others}.")
        return
    shown = table("BACKUP", "AGE", "RDB>", "STORED>", "KEYS>", "SERVER", "SOURCE", "SEALED")
    for entry in found:
        shown.add_row(*_row(entry))
    out.print(shown)


def _row(entry: catalog.Entry) -> list[str]:
    manifest = entry.manifest
    when = age(moment_of(entry.id))
    if manifest is None:
        return [entry.id, when, f"[red]unreadable: {entry.problem[:80]}[/]"]
    plain, stored = manifest.plaintext.bytes, manifest.object.bytes
    return [
        entry.id,
        when,
        size(plain),
        size(stored),
        f"{sum(manifest.plaintext.keys.values()):,}",
        f"{manifest.server.name} {manifest.server.version}",
        manifest.source.kind,
        " ".join([*manifest.stages, *(["signed"] if manifest.signature else [])]) or "in the clear",
    ]


def _flat(entry: catalog.Entry) -> dict[str, Any]:
    if entry.manifest is None:
        return {"id": entry.id, "problem": entry.problem}
    return entry.manifest.model_dump(mode="json")


@click.command()
@click.argument("backup", metavar="ID|latest")
@click.argument("target")
@click.option("-o", "--output", required=True, help="A file that is not there yet; - is standard output.")
@click.option("--identity", "identity_files", multiple=True, type=click.Path(path_type=Path), help="age identity file.")
@click.option("--force", is_flag=True, help="Replace the output file if it is there.")
@store_options
@errors_told
def fetch(
    backup: str,
    target: str,
    output: str,
    identity_files: tuple[Path, ...],
    force: bool,
    store_url: str | None,
    endpoint_url: str | None,
    region: str | None,
) -> None:
    """Bring a backup back as a plain RDB file, verified on the way."""
    store = opened_store(store_url, endpoint_url, region)
    manifest = catalog.find(store, known_target(target, store_url), backup)
    _authenticate(manifest, with_settings=store_url is None)
    identities = _identities(manifest, identity_files, with_settings=store_url is None)
    with _bar(manifest.object.bytes) as progress:
        task = progress.add_task("fetch", total=manifest.object.bytes)
        chunks = fetched(store, manifest, identities, lambda count: progress.advance(task, count))
        if output == "-":
            to_stream(chunks, sys.stdout.buffer)
        else:
            to_file(chunks, Path(output), force=force)
    plain = manifest.plaintext
    say(f"Backup {manifest.id}: {size(plain.bytes)}, sha256 {plain.sha256}, {sum(plain.keys.values()):,} keys.")


def _authenticate(manifest: Manifest, *, with_settings: bool) -> None:
    trusted = current().encryption.trusted_signers if with_settings else []
    if not manifest.authenticate(trusted):
        told = "not signed" if manifest.signature is None else "signed, but no trusted signer is set here"
        say(f"Backup {manifest.id} is {told}: only its integrity is checked, not who made it.", "yellow")


def _identities(manifest: Manifest, files: tuple[Path, ...], *, with_settings: bool) -> list[str]:
    if "age" not in manifest.stages:
        return []
    chosen = list(files) or (current().encryption.identity_files if with_settings else [])
    if not chosen:
        raise IdentityMissing(f"backup {manifest.id} is encrypted, and no identity was given")
    return [identity for path in chosen for identity in _read_identity(path)]


def _read_identity(path: Path) -> list[str]:
    try:
        return age_stage.read_identities(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise IdentityMissing(f"cannot read the identity file {path}", detail=reason.lower()) from None


def _bar(total: int) -> Progress:
    bar = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*bar, console=err, transient=True, disable=not err.is_terminal or total == 0)

"""backups and fetch: what the store holds. With --store nothing else is needed: no settings file, no control Redis."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from tasks import catalog
from tasks.cli.bar import progress_bar
from tasks.cli.terminal import age, discard_output, emit, err, errors_told, json_option, say, show_table, size
from tasks.errors import FileUnwritable, SettingsMissing
from tasks.keyring import identities_for
from tasks.manifest import Manifest
from tasks.names import moment_of
from tasks.restore import fetch as fetched
from tasks.restore import to_file, to_stream
from tasks.retention import Decision, plan
from tasks.settings import current, target_of
from tasks.store import Store, open_store

__all__ = ["backups", "fetch", "identity_option", "known_target", "opened_store", "store_options"]


COLUMNS = ("BACKUP", "AGE", "RDB>", "STORED>", "KEYS>", "SERVER", "SOURCE", "SEALED", "PROVEN", "RETENTION")


identity_option = click.option(
    "--identity", "identity_files", multiple=True, type=click.Path(path_type=Path), help="age identity file."
)
"""For what opens backups or archives; without it, the identities of the settings."""


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
    """List the target's backups, newest first: what is known of each, and what retention would do."""
    store = opened_store(store_url, endpoint_url, region)
    found = list(reversed(catalog.shelf(store, known_target(target, store_url))))
    fates = {} if store_url else _fates(target, found)
    if as_json:
        emit([_flat(entry) | _known(entry, fates.get(entry.id)) for entry in found])
        return
    if not found:
        others = ", ".join(catalog.targets(store)) or "none"
        say(f"No backups of {target} at {store.url}. Targets with backups there: {others}.")
        return
    rows = [[*_row(entry), _proven(entry), _fate(entry, fates.get(entry.id))] for entry in found]
    show_table(COLUMNS, rows, drop=("SEALED", "SOURCE", "SERVER", "KEYS"))


def _fates(target: str, found: list[catalog.Entry]) -> dict[str, Decision]:
    """What retention would do now, by the settings."""
    known = target_of(current(), target)
    planned = plan(reversed(found), known.backup, current().encryption.trusted_signers, datetime.now(UTC))
    return {each.snapshot.id: each for each in planned.decisions}


def _proven(entry: catalog.Entry) -> Text | str:
    if entry.notes:
        return Text("unreadable verdict", "yellow")
    last = entry.verdict.last if entry.verdict else None
    if entry.verdict is None or last is None:
        return "-"
    if not last.ok:
        return Text(f"FAILED {(last.error or {}).get('name', '')} {age(last.moment)}", "red")
    done = "drilled" if last is entry.verdict.drilled else "verified"
    return Text(f"{done} {age(last.moment)}", "green")


def _fate(entry: catalog.Entry, fate: Decision | None) -> Text | str:
    if entry.manifest is None:
        return Text(f"unreadable: {entry.problem}", "red")
    if fate is None:
        return f"held: {entry.hold.why}" if entry.hold else ""
    return Text(f"{fate.action}: {'; '.join(fate.reasons)}", "yellow" if fate.action == "remove" else "")


def _row(entry: catalog.Entry) -> list[Text | str]:
    manifest = entry.manifest
    when = age(moment_of(entry.id))
    if manifest is None:
        return [entry.id, when, *[""] * (len(COLUMNS) - 4)]
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


def _known(entry: catalog.Entry, fate: Decision | None) -> dict[str, Any]:
    return {
        "verdict": entry.verdict.model_dump(mode="json", exclude_none=True) if entry.verdict else None,
        "hold": entry.hold.model_dump(mode="json") if entry.hold else None,
        "retention": {"action": fate.action, "reasons": list(fate.reasons)} if fate else None,
        "notes": list(entry.notes),
    }


@click.command()
@click.argument("backup", metavar="ID|latest")
@click.argument("target")
@click.option("-o", "--output", required=True, help="A file that is not there yet; - is standard output.")
@identity_option
@click.option("--force", is_flag=True, help="Replace the output file if it is there.")
@store_options
@json_option
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
    as_json: bool,
) -> None:
    """Bring a backup back as a plain RDB file, verified on the way."""
    if output == "-" and (as_json or sys.stdout.isatty()):
        raise click.UsageError("With -o - the RDB itself goes to standard output: send it into a pipe or a file.")
    store = opened_store(store_url, endpoint_url, region)
    manifest = catalog.find(store, known_target(target, store_url), backup)
    _authenticate(manifest, with_settings=store_url is None)
    identities = _identities(manifest, identity_files, with_settings=store_url is None)
    with progress_bar(err, disable=not err.is_terminal or manifest.object.bytes == 0) as progress:
        task = progress.add_task("fetch", total=manifest.object.bytes)
        chunks = fetched(store, manifest, identities, lambda count: progress.advance(task, count))
        if output == "-":
            _pour(chunks)
        else:
            to_file(chunks, Path(output), force=force)
    plain = manifest.plaintext
    if as_json:
        emit({"id": manifest.id, "target": manifest.target, "output": output} | plain.model_dump(mode="json"))
        return
    say(f"Backup {manifest.id}: {size(plain.bytes)}, sha256 {plain.sha256}, {sum(plain.keys.values()):,} keys.")


def _pour(chunks: Iterator[bytes]) -> None:
    try:
        to_stream(chunks, sys.stdout.buffer)
    except FileUnwritable:
        discard_output()
        raise


def _authenticate(manifest: Manifest, *, with_settings: bool) -> None:
    trusted = current().encryption.trusted_signers if with_settings else []
    if not manifest.authenticate(trusted):
        told = "not signed" if manifest.signature is None else "signed, but no trusted signer is set here"
        say(f"Backup {manifest.id} is {told}: only its integrity is checked, not who made it.", "yellow")


def _identities(manifest: Manifest, files: tuple[Path, ...], *, with_settings: bool) -> list[str]:
    return identities_for(manifest, files or (current().encryption.identity_files if with_settings else []))

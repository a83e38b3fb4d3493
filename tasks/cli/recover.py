"""restore: bring a backup back into a file, a data directory, or a running server.

Everything is looked at first, told, and asked about; and nothing but the store and an identity is needed.
"""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import click
from rich.progress import Progress, TaskID

from tasks import catalog
from tasks.cli.request import Request
from tasks.cli.shelf import identity_option, known_target, opened_store, store_options
from tasks.cli.terminal import errors_told, json_option, say, seconds
from tasks.errors import DirectoryInUse, LayoutUnknown, RedkeepError, SettingsMissing
from tasks.keyring import identities_for
from tasks.manifest import Manifest
from tasks.names import masked_url
from tasks.restore import (
    Layout,
    admit,
    check_loads,
    layout_named,
    layout_of,
    reader_named,
    reader_of,
    spooled,
    to_dir,
    to_file,
)
from tasks.restore.file import check_room
from tasks.restore.live import Address, Course, Seen, fit
from tasks.restore.occupied import check_free
from tasks.server import Server
from tasks.settings import Settings, current, target_of

__all__ = ["restore"]

TERMINATED = 143
"""Exit code after SIGTERM, as the shells have it."""


@click.command()
@click.argument("backup", metavar="ID|latest")
@click.argument("target")
@click.option("--to-file", type=click.Path(path_type=Path), metavar="FILE", help="The plain RDB.")
@click.option("--to-dir", type=click.Path(path_type=Path), metavar="DIR", help="A data directory to start a server on.")
@click.option("--to-redis", metavar="URL", help="A running server: redis://..., or the name of a target.")
@click.option("--like", metavar="URL", help="--to-dir: take version and settings from this running server.")
@click.option("--server-version", metavar="V", help="--to-dir: 7.0.15 or valkey-9.1; else that of the backup's server.")
@click.option("--appendonly", type=click.Choice(["yes", "no"]), help="--to-dir: how the server will be started.")
@click.option("--listen", metavar="ADDR[:PORT]", help="--to-redis: where this side waits for the server.")
@click.option("--announce", metavar="ADDR[:PORT]", help="--to-redis: what the server calls that address.")
@identity_option
@click.option("--allow-unsigned", is_flag=True, help="Accept a backup that no trusted signer vouches for.")
@click.option("--force", is_flag=True, help="Replace a file; go on where the checks only advise against it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Check and tell, change nothing.")
@store_options
@json_option
@errors_told
def restore(
    backup: str,
    target: str,
    to_file: Path | None,
    to_dir: Path | None,
    to_redis: str | None,
    like: str | None,
    server_version: str | None,
    appendonly: str | None,
    listen: str | None,
    announce: str | None,
    identity_files: tuple[Path, ...],
    allow_unsigned: bool,
    force: bool,
    yes: bool,
    dry_run: bool,
    store_url: str | None,
    endpoint_url: str | None,
    region: str | None,
    as_json: bool,
) -> None:
    """Bring a backup back. It is authenticated and verified before anything is touched."""
    if sum(place is not None for place in (to_file, to_dir, to_redis)) != 1:
        raise click.UsageError("Say one of --to-file, --to-dir and --to-redis.")
    if as_json and not (yes or dry_run):
        raise click.UsageError("With --json nobody can be asked: say --yes or --dry-run.")
    signal.signal(signal.SIGTERM, _terminated)
    settings = current() if store_url is None else None
    store = opened_store(store_url, endpoint_url, region)
    manifest = catalog.find(store, known_target(target, store_url), backup)
    if told := admit(manifest, settings.encryption.trusted_signers if settings else (), allow_unsigned=allow_unsigned):
        say(f"{told[0].upper()}{told[1:]}.", "yellow")
    identities = identities_for(manifest, identity_files or (settings.encryption.identity_files if settings else ()))
    request = Request(store, manifest, identities, settings, force, yes, dry_run, as_json)
    if to_file is not None:
        _into_file(request, to_file)
    elif to_dir is not None:
        _into_dir(request, to_dir, like, server_version, appendonly)
    elif to_redis is not None:
        _into_redis(request, to_redis, _address(listen, "--listen"), _address(announce, "--announce"))


def _terminated(*_: object) -> NoReturn:
    sys.exit(TERMINATED)


# -- a file ----------------------------------------------------------------------------------------------


def _into_file(request: Request, path: Path) -> None:
    plan = {"file": str(path)}
    check_room(path.absolute().parent, request.manifest.plaintext.bytes)
    if not request.agreed(plan, [f"into the file {path}"]):
        return
    with request.fetched() as (chunks, _, _bar):
        to_file(chunks, path, force=request.force)
    request.done(plan, [f"{path} is the whole RDB, sha256 {request.manifest.plaintext.sha256}."])


# -- a data directory ------------------------------------------------------------------------------------


def _into_dir(
    request: Request, folder: Path, like: str | None, version: str | None, appendonly: str | None
) -> None:
    folder = folder.absolute()
    layout = _layout(request.manifest, like, version, appendonly)
    _check_no_targets(request, folder)
    check_free(folder)
    there = sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []
    plan = {"dir": str(folder), "rdb": str(folder / layout.rdb), "appendonly": layout.appendonly}
    lines = [f"into {folder}, for a server with appendonly {'yes' if layout.appendonly else 'no'}: {layout.rdb}"]
    lines += [f"what is there is moved aside, whole: {', '.join(there)}"] if there else []
    if not request.agreed(plan, lines):
        return
    with request.fetched() as (chunks, _, _bar):
        placed = to_dir(chunks, folder, layout, expected=request.manifest.plaintext.bytes)
    uid, gid = placed.owner
    told = [f"{placed.rdb} is in its place, owned by {uid}:{gid}; that must be the server's user."]
    told += [f"What was there is in {placed.aside}."] if placed.aside else []
    aside = str(placed.aside) if placed.aside else None
    request.done(plan | {"aside": aside, "owner": [uid, gid]}, told)


def _layout(manifest: Manifest, like: str | None, version: str | None, appendonly: str | None) -> Layout:
    if like is not None:
        if version or appendonly:
            raise click.UsageError("--like tells both --server-version and --appendonly.")
        with Server(_url(like)) as server:
            check_loads(manifest, reader_of(server))
            return layout_of(server)
    if appendonly is None:
        raise LayoutUnknown("it is not known whether the server will have AOF on")
    named = version or manifest.server.version
    reader = reader_named(named if not named[:1].isdigit() else f"{manifest.server.name}-{named}")
    check_loads(manifest, reader)
    return layout_named(reader, appendonly=appendonly == "yes")


def _check_no_targets(request: Request, folder: Path) -> None:
    """Whether a configured server that is up calls this its directory, be it here or where the same path is another
    place. Raises DirectoryInUse."""
    for target in request.settings.target if request.settings and not request.force else ():
        try:
            with Server(target.url.get_secret_value(), timeout=2.0) as server:
                named = server.config("dir").get("dir", "")
        except RedkeepError:  # it is down, or does not tell: /proc is asked as well
            continue
        if named and folder.resolve() in {Path(named).resolve(), target.data_dir and target.data_dir.resolve()}:
            hint = "Stop it first; or say --force if that is a directory of the same name on another host."
            raise DirectoryInUse(f"{folder} is the directory of target {target.name}, which is up", hint=hint)


# -- a running server ------------------------------------------------------------------------------------


def _into_redis(request: Request, named: str, listen: Address | None, announce: Address | None) -> None:
    url = _url(named)
    control = _control_run_id(request.settings)
    with Server(url) as server:
        fitting = fit(server, request.manifest, force=request.force, control_run_id=control)
        plan = {"redis": server.shown, "serves_old_data": fitting.swap, "warnings": list(fitting.warnings)}
        lines = [f"into {server.shown}, {fitting.facts.name} {fitting.facts.version}", *fitting.warnings]
    if not request.agreed(plan, lines):
        return
    with request.fetched() as (chunks, progress, bar), spooled(chunks, request.manifest.plaintext.bytes) as file:
        course = Course(
            url,
            request.manifest,
            file,
            listen=listen,
            announce=announce,
            force=request.force,
            control_run_id=control,
            seen=_shown(progress, bar),
        )
        with course:
            say("If this is killed in the middle, free the server with:")
            for line in course.remedy:
                say(f"  {line}")
            figures = course.run()
    loaded, written = seconds(figures["transfer_seconds"]), seconds(figures["persist_seconds"])
    told = f"sent and loaded in {loaded}, on its disk {written} later"
    request.done(plan | figures, [f"{plan['redis']} has all {figures['keys']:,} keys: {told}."])


def _shown(progress: Progress, bar: TaskID) -> Callable[[Seen], None]:
    def seen(at: Seen) -> None:
        told = f"loading, {at.done} %" if at.phase == "loading" else at.phase
        total = at.total if at.phase == "sending" else None
        progress.update(bar, description=told, completed=at.done if total else 0, total=total)

    return seen


def _control_run_id(settings: Settings | None) -> str:
    """Of the control Redis; nothing where there is none, or none that answers."""
    if settings is None:
        return ""
    try:
        with Server(settings.control.url.get_secret_value(), timeout=2.0) as server:
            return server.facts().run_id
    except RedkeepError:
        return ""


def _url(named: str) -> str:
    """A URL, or that of the target of this name: so no password has to stand in a command line."""
    if "://" in named:
        return named
    try:
        return target_of(current(), named).url.get_secret_value()
    except SettingsMissing:
        raise click.UsageError(f"{masked_url(named)!r} is not a URL, and there are no settings that name it.") from None


def _address(text: str | None, option: str) -> Address | None:
    """``host``, ``host:port`` or ``[v6]:port``; port 0 for any."""
    if text is None:
        return None
    found = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\[\]]+)(?::(\d{1,5}))?", text)
    if found is None or int(found[2] or 0) > 65535:
        raise click.UsageError(f"{option} is ADDR or ADDR:PORT, not {text!r}.")
    return found[1].strip("[]"), int(found[2] or 0)

"""untidy: bring back what a tidy run removed. Told first, asked about, and a run of its own with lease and record; or,
with --to-redis, needing only the store and an identity."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from tasks import archive
from tasks.cli.bar import progress_bar
from tasks.cli.run import carry
from tasks.cli.shelf import identity_option, known_target, opened_store, store_options
from tasks.cli.terminal import age, emit, err, errors_told, json_option, out, say, size, whoami
from tasks.job import Ticket
from tasks.manifest import TidiedManifest
from tasks.names import masked_url, moment_of
from tasks.outcome import untidied
from tasks.restore import admit
from tasks.server import Server
from tasks.settings import current, target_of
from tasks.store import Store
from tasks.untidy import Homecoming, Wish, identities_of
from tasks.untidy import untidy as bring_back

__all__ = ["untidy"]


@click.command()
@click.argument("run", metavar="RUN|latest")
@click.argument("target")
@click.option("--match", default="", metavar="GLOB", help="Only keys that are called so.")
@click.option("--replace", is_flag=True, help="Also over keys that are there by now.")
@click.option("--to-redis", metavar="URL", help="Into this server; no record, no lease, no control Redis.")
@identity_option
@click.option("--allow-unsigned", is_flag=True, help="Accept an archive that no trusted signer vouches for.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Read all of it and tell what would come back, change nothing.")
@store_options
@json_option
@errors_told
def untidy(
    run: str,
    target: str,
    match: str,
    replace: bool,
    to_redis: str | None,
    identity_files: tuple[Path, ...],
    allow_unsigned: bool,
    yes: bool,
    dry_run: bool,
    store_url: str | None,
    endpoint_url: str | None,
    region: str | None,
    as_json: bool,
) -> None:
    """Bring back what a tidy run removed. RUN is the run's id, its beginning, or that of the archive."""
    if as_json and not (yes or dry_run):
        raise click.UsageError("With --json nobody can be asked: say --yes or --dry-run.")
    if store_url is not None and to_redis is None:
        raise click.UsageError("With --store there are no settings that name a server: say --to-redis URL.")
    wish = Wish(match, replace, dry_run)
    wish.picker()
    store = opened_store(store_url, endpoint_url, region)
    segments = archive.find(store, known_target(target, store_url), run)
    if not as_json:
        for line in _plan(segments, wish, masked_url(to_redis or target_of(current(), target).url.get_secret_value())):
            say(line)
    if not (yes or dry_run):
        click.confirm("Go on?", abort=True, err=True)
    if to_redis is not None:
        trusted = current().encryption.trusted_signers if store_url is None else []
        files = identity_files or (current().encryption.identity_files if store_url is None else ())
        _into(to_redis, store, segments, wish, files, trusted, allow_unsigned=allow_unsigned, as_json=as_json)
        return
    asked = asdict(wish) | {"archive": segments[0].id, "allow_unsigned": allow_unsigned}
    ticket = Ticket(str(uuid.uuid4()), "tasks.untidy", target, by=f"{whoami()} inline", options=asked)
    carry(ticket, as_json, partial(bring_back, identity_files=identity_files))


def _plan(segments: Sequence[TidiedManifest], wish: Wish, server: str) -> Iterator[str]:
    first = segments[0]
    keys = sum(each.plaintext.records for each in segments)
    stored = size(sum(each.object.bytes for each in segments))
    yield f"Archive {first.id} of {first.target}, {age(moment_of(first.id))}, by run {first.task_id[:8]}:"
    yield f"  {keys:,} keys, {stored} stored, from {first.server.name} {first.server.version}"
    rules: Counter[str] = Counter()
    for each in segments:
        rules.update(each.plaintext.rules)
    yield from (f"  {count:>9,}  by rule {rule!r}" for rule, count in rules.most_common())
    what = f"those called {wish.match}" if wish.match else "all of them"
    yield f"  {what} into {server}; keys that are there {'are replaced' if wish.replace else 'are left alone'}"
    if not wish.dry_run:
        yield f"The same rules take them again: change these, or `redkeep pause {first.target} tidy`."


def _into(
    url: str,
    store: Store,
    segments: Sequence[TidiedManifest],
    wish: Wish,
    identity_files: Sequence[Path],
    trusted: Sequence[str],
    *,
    allow_unsigned: bool,
    as_json: bool,
) -> None:
    for told in {admit(each, trusted, allow_unsigned=allow_unsigned) for each in segments} - {""}:
        say(f"{told[0].upper()}{told[1:]}.", "yellow")
    identities = identities_of(segments, identity_files)
    with Server(url) as server, progress_bar(err, disable=as_json or not err.is_terminal) as progress:
        bar = progress.add_task("restore", total=None)
        home = Homecoming(
            store, server, identities, wish, lambda done, total: progress.update(bar, completed=done, total=total)
        )
        try:
            home.run(segments)
        finally:
            progress.stop()
            if not as_json:
                _tell(home)
    if as_json:
        emit(_figures(home) | {"archive": segments[0].id, "warnings": home.told()})


def _tell(home: Homecoming) -> None:
    for line in untidied(_figures(home)):
        out.print(Text(line))
    for line in home.told():
        say(line, "yellow")


def _figures(home: Homecoming) -> dict[str, Any]:
    return asdict(home.fates) | {"dry_run": home.wish.dry_run}

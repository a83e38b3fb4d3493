"""One restore as it was asked for: what is told, asked and answered around it, wherever it goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
from rich.progress import Progress, TaskID

from tasks.cli.bar import progress_bar
from tasks.cli.terminal import age, emit, err, say, size
from tasks.manifest import Manifest
from tasks.names import moment_of
from tasks.restore import fetch
from tasks.settings import Settings
from tasks.store import Store

__all__ = ["Request"]


@dataclass(frozen=True)
class Request:
    """What is to be brought back, and how it was asked for.

    Attributes:
        settings: None where the store was named on the command line.
    """

    store: Store
    manifest: Manifest
    identities: list[str]
    settings: Settings | None
    force: bool
    yes: bool
    dry_run: bool
    as_json: bool

    @contextmanager
    def fetched(self) -> Iterator[tuple[Iterator[bytes], Progress, TaskID]]:
        """The plain RDB with a bar beside it, which may go on to show something else."""
        total = self.manifest.object.bytes
        with progress_bar(err, disable=self.as_json or not err.is_terminal) as progress:
            bar = progress.add_task("fetch and verify", total=total)
            chunks = fetch(self.store, self.manifest, self.identities, lambda count: progress.advance(bar, count))
            yield chunks, progress, bar

    def agreed(self, plan: dict[str, Any], lines: list[str]) -> bool:
        """Tell what will be done, and ask. False where that was all. Ends the command where the answer is no."""
        if self.as_json and self.dry_run:
            emit(self.told() | plan | {"done": False})
        if not self.as_json:
            for line in [_title(self.manifest), *(f"  {line}" for line in lines)]:
                say(line)
        if not (self.dry_run or self.yes):
            click.confirm("Go on?", abort=True, err=True)
        return not self.dry_run

    def told(self) -> dict[str, Any]:
        manifest = self.manifest
        return {"id": manifest.id, "target": manifest.target, "bytes": manifest.plaintext.bytes}

    def done(self, facts: dict[str, Any], lines: list[str]) -> None:
        if self.as_json:
            emit(self.told() | facts | {"done": True})
            return
        for line in lines:
            say(line)


def _title(manifest: Manifest) -> str:
    plain, server = manifest.plaintext, manifest.server
    when = age(moment_of(manifest.id))
    keys = sum(plain.keys.values())
    from_where = f"{server.name} {server.version}, RDB version {plain.rdb_version}"
    return f"Backup {manifest.id} of {manifest.target}, {when}: {size(plain.bytes)}, {keys:,} keys, {from_where}."

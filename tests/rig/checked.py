"""An installation for the doctor to look at, as it should be, and changed where a test says."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from rig.redis_servers import FLAVOURS, RedisServer, binary, why_missing
from tasks import roster
from tasks.beginning import begin
from tasks.check import Finding, check
from tasks.errors import ControlUnreachable
from tasks.settings import Settings, load

__all__ = ["SERVING", "Installation", "enlisted", "found", "installation", "rows", "server_as_it_should_be"]

Installation = Callable[..., Settings]
"""``installed((old text, new text), ...)`` changes the settings file and loads it."""

SERVING = {"backup@here": ["backup", "rewrite"], "others@here": ["drill", "housekeeping"], "celerybeat@here": []}


@contextmanager
def server_as_it_should_be() -> Iterator[RedisServer]:
    """For both, the control Redis and the one under care."""
    flavour = next((each for each in ("redis7", "valkey9", "redis8") if binary(each) is not None), None)
    if flavour is None:
        pytest.skip("; ".join(map(why_missing, FLAVOURS)))
    with RedisServer(flavour, appendonly="yes", repl_diskless_sync_delay=0) as server:
        server.client().set("a", 1)
        server.client().save()
        yield server


def installation(folder: Path, site: RedisServer, control: RedisServer, namespace: str) -> Installation:
    """Settings as `redkeep init` writes them, made to fit, beside a folder called store."""
    (folder / "store").mkdir()
    files = begin(
        folder / "conf",
        control=control.url,
        store=(folder / "store").as_uri(),
        server=site.url,
        data_dir=str(site.dir),
    )
    text = files.settings.read_text()
    files.settings.write_text(text.replace('# namespace = "redkeep"', f'namespace = "{namespace}"'))

    def settings(*changes: tuple[str, str]) -> Settings:
        text = files.settings.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        files.settings.write_text(text)
        return load(files.settings)

    return settings


def enlisted(settings: Settings, *processes: str) -> None:
    """These have said that they were started with such settings."""
    for name in processes:
        roster.enlist(settings, name)


def found(settings: Settings, serving: dict[str, list[str]] | None = None) -> list[Finding]:
    """What the doctor says, where these workers answer with these queues, started with the same settings."""
    answers = SERVING if serving is None else serving
    with suppress(ControlUnreachable):
        enlisted(settings, *answers)
    return list(check(settings, list(settings.target), lambda: answers))


def rows(settings: Settings, level: str, **options: dict[str, list[str]]) -> dict[str, Finding]:
    """Those of that level, by what they are about."""
    return {each.what: each for each in found(settings, **options) if each.level == level}

"""`redkeep run enforce`, through a worker: the plan before, what was done after, and what the operator has to write."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rig.commands import Running, redkeep
from rig.keep import Keep
from rig.redis_servers import RedisServer
from rig.steps import populated

from tasks.errors import PersistenceUnlasting


@pytest.fixture
def server(control: RedisServer) -> Iterator[RedisServer]:
    with populated(control.flavour) as server:
        yield server


def applying(folder: Path, server: RedisServer, control: RedisServer) -> Keep:
    return Keep(folder, server.url, control.url, data_dir=server.dir, persistence={"enforce": "apply"})


def test_a_dry_run_shows_the_steps_and_the_run_takes_them(
    server: RedisServer, control: RedisServer, tmp_path: Path
) -> None:
    keep = applying(tmp_path, server, control)
    with Running("worker", "rewrite", config=keep.config_path) as worker:
        worker.until("ready.")
        dry = redkeep("run", "enforce", "main", "--dry-run", config=keep.config_path)
        assert dry.code == 0
        assert 'save is "3600 1", wanted ""' in dry.out
        assert "would 2. CONFIG SET appendonly yes, and its first rewrite: while the save points still stand" in dry.out
        assert 'would 4. CONFIG SET save ""' in dry.out
        assert server.client().config_get("appendonly")["appendonly"] == "no"
        done = redkeep("run", "enforce", "main", config=keep.config_path)
        assert (done.code, "would" in done.out) == (0, False)
        assert 'done  CONFIG SET save ""' in done.out
    assert server.client().config_get("appendonly")["appendonly"] == "yes"
    again = redkeep("run", "enforce", "main", "--inline", config=keep.config_path)
    assert "every setting is as wanted" in again.out


def test_what_cannot_last_ends_with_the_lines_to_write(control: RedisServer, tmp_path: Path) -> None:
    with populated(control.flavour, config_file=False) as server:
        keep = applying(tmp_path, server, control)
        said = redkeep("run", "enforce", "main", "--inline", config=keep.config_path)
        assert said.code == PersistenceUnlasting.code
        assert 'where the server is started: --save "" --appendonly yes' in said.err

"""An installation with two backups in its store, for what reads them."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rig.commands import REDKEEP, Done, run
from rig.keep import Keep
from rig.redis_servers import RedisServer
from tasks.manifest import Manifest

__all__ = ["backed_up", "bare", "newest", "put_back_afterwards"]

OTHER = """
[[target]]
name = "other"
url = "redis://127.0.0.1:1"
"""


def backed_up(folder: Path, site: RedisServer, control: RedisServer) -> Keep:
    """Two backups of main, none of other; the settings name the identity and the trusted signer."""
    keep = Keep(folder, site.url, control.url, data_dir=site.dir)
    assert keep.attempt(slot="tasks.backup/main/2026-11-23T11:07Z").error is None
    assert keep.attempt().error is None
    text = keep.config_path.read_text()
    trust = f'identity_files = ["identity0.txt"]\ntrusted_signers = ["{keep.signer}"]\n'
    keep.config_path.write_text(text.replace("[encryption]\n", f"[encryption]\n{trust}") + OTHER)
    return keep


@contextmanager
def put_back_afterwards(keep: Keep, saved: Path) -> Iterator[Keep]:
    """The store may be spoiled in the block."""
    assert keep.store_folder is not None
    shutil.copytree(keep.store_folder, saved)
    yield keep
    shutil.rmtree(keep.store_folder)
    shutil.copytree(saved, keep.store_folder)


def newest(keep: Keep) -> Manifest:
    return keep.manifests()[-1]


def bare(*arguments: object, **environment: str) -> Done:
    """Our command in an emptied environment: no settings file, no control Redis, no home."""
    line = " ".join(shlex.quote(str(word)) for word in (REDKEEP, *arguments))
    return run(["sh", "-c", line], env={"PATH": os.defpath} | environment, cwd=Path("/"))

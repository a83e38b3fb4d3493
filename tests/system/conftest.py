"""What the tests against whole systems share."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from rig import s3
from rig.keep import Keep
from rig.redis_servers import FLAVOURS, RedisServer, binary, why_missing

from tasks.store.client import Limits
from tasks.store.s3 import S3Store


@pytest.fixture(scope="session")
def control() -> Iterator[RedisServer]:
    """The control Redis of all tests; each has a namespace of its own in it."""
    flavour = next((each for each in ("redis7", "valkey9", "redis8") if binary(each) is not None), None)
    if flavour is None:
        pytest.skip("; ".join(map(why_missing, FLAVOURS)))
    with RedisServer(flavour) as server:
        yield server


@pytest.fixture
def keep(tmp_path: Path, control: RedisServer) -> Callable[..., Keep]:
    """``keep(server, source="follow")`` is an installation that backs that server up, its data_dir included."""

    def made(server: RedisServer, **options: object) -> Keep:
        folder = Path(str(options.pop("folder", tmp_path))) / f"keep-{uuid4().hex}"
        folder.mkdir()
        return Keep(folder, str(options.pop("url", server.url)), control.url, **{"data_dir": server.dir} | options)

    return made


@pytest.fixture(scope="session")
def moto() -> Iterator[s3.Server]:
    """An S3 server that knows conditional writes."""
    with s3.moto() as server:
        yield server


@pytest.fixture
def bucket(moto: s3.Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket there, as a store's url, and the credentials for it in the environment."""
    for name, value in moto.environment.items():
        monkeypatch.setenv(name, value)
    name = f"bucket-{uuid4().hex}"
    moto.make_bucket(name)
    return f"s3://{name}/site"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """S3 is asked twice at most, and waited for a few seconds: what fails here fails for good."""
    monkeypatch.setitem(S3Store.__init__.__kwdefaults__, "limits", Limits(connect=2, read=5, attempts=2))


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that everybody may use, for what is done without root's rights; skipped where there are none to drop."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    with tempfile.TemporaryDirectory(prefix="redkeep-public-") as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB, really full when it is full."""
    disk = tmp_path / "small disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)

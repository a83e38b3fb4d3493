"""S3 servers, started once for all tests; every test has a bucket or folder of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from rig import s3
from rig.faulty_s3 import Proxy, faulty
from rig.streams import PART, QUICK

from tasks.store import Store, open_store
from tasks.store.client import Limits
from tasks.store.s3 import S3Store

Use = Callable[[dict[str, str]], None]


@pytest.fixture(scope="session")
def moto() -> Iterator[s3.Server]:
    with s3.moto() as server:
        yield server


@pytest.fixture(scope="session")
def rclone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[s3.Server]:
    with s3.rclone(tmp_path_factory.mktemp("rclone")) as server:
        yield server


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Use:
    """Make these the only ``AWS_`` variables there are."""

    def use(environment: dict[str, str]) -> None:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in environment.items():
            monkeypatch.setenv(name, value)

    return use


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB, really full when it is full. Needs the right to mount."""
    disk = tmp_path / "small disk"
    disk.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(disk)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("mounting a small disk needs root")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


# -- one store of each kind ----------------------------------------------------------------------------


@pytest.fixture(params=["folder", "moto", "rclone"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def place(kind: str, tmp_path: Path, request: pytest.FixtureRequest, use: Use) -> tuple[str, str | None]:
    """A new and empty place: its url and its endpoint."""
    if kind == "folder":
        return tmp_path.as_uri(), None
    server: s3.Server = request.getfixturevalue(kind)
    use(server.environment)
    bucket = f"bucket-{uuid4().hex}"
    server.make_bucket(bucket)
    return f"s3://{bucket}/some/prefix", server.endpoint_url


@pytest.fixture
def store(place: tuple[str, str | None]) -> Store:
    url, endpoint_url = place
    return open_store(url, endpoint_url=endpoint_url, part_size=PART, concurrency=2)


# -- a store behind a way that fails -------------------------------------------------------------------


@pytest.fixture
def bucket(moto: s3.Server, use: Use) -> str:
    use(moto.environment)
    name = f"bucket-{uuid4().hex}"
    moto.make_bucket(name)
    return name


@pytest.fixture
def proxy(moto: s3.Server) -> Iterator[Proxy]:
    with faulty(moto.endpoint_url) as proxy:
        yield proxy


@pytest.fixture
def opened(bucket: str, proxy: Proxy) -> Callable[..., S3Store]:
    """A store that speaks through the faulty way."""

    def opened(limits: Limits = QUICK, **options: Any) -> S3Store:
        options = {"endpoint_url": proxy.endpoint_url, "part_size": PART, "concurrency": 2} | options
        return S3Store(bucket, "prefix", limits=limits, **options)

    return opened


@pytest.fixture
def truth(bucket: str, moto: s3.Server) -> S3Store:
    """The same bucket with nothing in between."""
    return S3Store(bucket, "prefix", endpoint_url=moto.endpoint_url, part_size=PART, limits=QUICK)

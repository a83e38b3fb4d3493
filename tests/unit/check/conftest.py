"""The doctor's tests share two servers; who changes one changes it back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from rig.checked import Installation, installation, server_as_it_should_be
from rig.redis_servers import RedisServer


@pytest.fixture(scope="session")
def cared_for() -> Iterator[RedisServer]:
    with server_as_it_should_be() as server:
        yield server


@pytest.fixture(scope="session")
def control() -> Iterator[RedisServer]:
    with server_as_it_should_be() as server:
        yield server


@pytest.fixture
def installed(tmp_path: Path, cared_for: RedisServer, control: RedisServer, namespace: str) -> Installation:
    return installation(tmp_path, cared_for, control, namespace)

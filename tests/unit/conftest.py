"""The control Redis of the unit tests: one real server for all, a namespace for each test."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rig.installations import settings
from rig.redis_servers import FLAVOURS, RedisServer, binary, why_missing
from rig.site import TARGETS, Site

from tasks.control import Client, connect
from tasks.names import Keys
from tasks.records import Records
from tasks.settings import Settings


@pytest.fixture(scope="session")
def control_server() -> Iterator[RedisServer]:
    for flavour in ("redis7", "valkey9", "redis8"):
        if binary(flavour) is not None:
            with RedisServer(flavour) as server:
                yield server
            return
    pytest.skip("; ".join(map(why_missing, FLAVOURS)))


@pytest.fixture
def namespace() -> str:
    return f"t{uuid.uuid4().hex[:12]}"


@pytest.fixture
def names(namespace: str) -> Keys:
    return Keys(namespace)


@pytest.fixture
def make_settings(control_server: RedisServer, namespace: str) -> Callable[..., Settings]:
    """Settings on the control Redis and this test's namespace; arguments as `rig.installations.settings`."""

    def make(**wanted: Any) -> Settings:
        return settings(control_server.url, **{"namespace": namespace} | wanted)

    return make


@pytest.fixture
def client(make_settings: Callable[..., Settings]) -> Iterator[Client]:
    """A client as the code under test has it."""
    made = connect(make_settings().control)
    yield made
    made.close()


@pytest.fixture
def site(make_settings: Callable[..., Settings], client: Client) -> Site:
    return Site(make_settings(targets=TARGETS, patience="10ms", visibility="2m"), client)


@pytest.fixture
def own_site(any_redis: RedisServer) -> Iterator[Site]:
    """One whose control Redis a test may kill."""
    wanted = settings(any_redis.url, targets=TARGETS, patience="10ms", visibility="2m")
    client = connect(wanted.control)
    yield Site(wanted, client)
    client.close()


@pytest.fixture
def records(client: Client, make_settings: Callable[..., Settings]) -> Records:
    return Records(client, make_settings(history={"runs": 5, "days": 2}).control)

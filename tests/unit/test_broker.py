"""The control Redis as Celery is told of it: the same server, database and login that redis-py uses."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from celery import Celery
from kombu import Connection
from rig.installations import settings
from rig.redis_servers import FLAVOURS, RedisServer, binary

from tasks import broker
from tasks.control import connect
from tasks.settings import Control

PASSWORD = "p@ss w/rd:#%2F?é"


@pytest.fixture(scope="module")
def guarded() -> Iterator[RedisServer]:
    """A server with an awkward password, a user of the same, and a unix socket."""
    flavour = next((each for each in ("redis7", "valkey9", "redis8") if binary(each)), None)
    if flavour is None:
        pytest.skip(f"none of {FLAVOURS}")
    users = [f"'ops@site' on '>{PASSWORD}' ~* &* +@all"]
    with RedisServer(flavour, password=PASSWORD, users=users, unix_socket=True) as server:
        yield server


def control(url: str, **fields: Any) -> Control:
    return settings(url, **fields).control


QUOTED = quote(PASSWORD, safe="")
URLS = [
    "redis://:{password}@127.0.0.1:{port}",
    "redis://:{password}@127.0.0.1:{port}/",
    "redis://:{password}@127.0.0.1:{port}/3",
    "redis://:{password}@127.0.0.1:{port}?db=3",
    "redis://127.0.0.1:{port}/3?password={password}",
    "redis://ops%40site:{password}@127.0.0.1:{port}/3",
    "redis://127.0.0.1:{port}?db=3&username=ops%40site&password={password}",
    "redis://:{password}@localhost:{port}/3?socket_timeout=9&health_check_interval=3",
    "unix://:{password}@{socket}",
    "unix://:{password}@{socket}?db=3",
    "unix://ops%40site:{password}@{socket}?db=3",
    "unix://{socket}?db=3&password={password}",
]


@pytest.mark.parametrize("shape", URLS)
def test_broker_and_results_and_leases_meet_in_one_database(guarded: RedisServer, shape: str) -> None:
    given = control(shape.format(password=QUOTED, port=guarded.port, socket=guarded.socket_path))
    ours = connect(given)
    ours.set("marker", shape)
    app = Celery(broker=broker.url(given), backend=broker.url(given))
    app.conf.redis_socket_keepalive = "unix" not in shape  # as celeryconfig.py has it
    with Connection(broker.url(given), transport_options=broker.transport_options(given)) as celerys:
        channel: Any = celerys.default_channel
        with channel.conn_or_acquire() as client:
            assert client.connection_pool.connection_kwargs["db"] == ours.connection_pool.connection_kwargs.get("db", 0)
            client.connection_pool.reset()
            assert client.execute_command("GET", "marker").decode() == shape
    assert app.backend.client.get("marker").decode() == shape
    app.close()
    ours.delete("marker")
    ours.close()


@pytest.mark.parametrize(
    ("given", "checks"),
    [
        ("rediss://:x@h:6380/1", ssl.CERT_REQUIRED),
        ("rediss://:x@h:6380/1?ssl_cert_reqs=none", ssl.CERT_NONE),
        ("rediss://:x@h:6380/1?ssl_cert_reqs=optional&ssl_ca_certs=/ca.pem", ssl.CERT_OPTIONAL),
    ],
)
def test_tls_certificates_are_required_unless_the_settings_say_otherwise(given: str, checks: ssl.VerifyMode) -> None:
    made = broker.url(control(given))
    connection = Connection(made)
    assert (connection.hostname, connection.port, connection.virtual_host) == ("h", 6380, "1")
    assert connection.ssl["ssl_cert_reqs"] == checks
    assert connection.ssl.get("ssl_ca_certs") == ("/ca.pem" if "ca.pem" in given else None)
    backend = Celery(broker=made, backend=made).backend
    assert backend.connparams["ssl_cert_reqs"] == checks
    assert backend.connparams["db"] == 1


def test_an_address_of_version_6_keeps_its_brackets() -> None:
    connection = Connection(broker.url(control("redis://[::1]:6380/2")))
    assert (connection.hostname, connection.port, connection.virtual_host) == ("::1", 6380, "2")


def test_delayed_messages_stay_well_below_the_visibility_timeout() -> None:
    for visibility, patience in (("5m", "10s"), ("4s", "1s"), ("60s", "29s")):
        given = control("redis://h", visibility=visibility, patience=patience, lease_ttl="1s")
        assert given.retry_delay < given.visibility / 2
        options = broker.transport_options(given)
        assert options["visibility_timeout"] == given.visibility
        assert options["unacked_restore_interval"] * options["unacked_restore_throttle"] < given.visibility


def test_the_beat_for_the_broker_moves_only_a_message_that_is_there(guarded: RedisServer) -> None:
    given = control(f"redis://:{QUOTED}@127.0.0.1:{guarded.port}", namespace="beat")
    client = connect(given)
    index = "beat:celery:unacked_index"
    client.zadd(index, {"mine": 1.0, "other": 2.0})
    broker.keep_message(given, "mine")()
    broker.keep_message(given, "acknowledged")()
    assert client.zscore(index, "acknowledged") is None
    assert client.zscore(index, "other") == 2.0
    assert abs(client.zscore(index, "mine") - client.time()[0]) < 5
    client.close()

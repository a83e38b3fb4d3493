"""The connection to the control Redis, and what its failures mean."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

from tasks.errors import ControlUnreachable
from tasks.names import masked_url
from tasks.settings import Control

__all__ = ["Client", "connect", "speaking"]

Client = Any
"""A redis-py client as :func:`connect` makes it. Its own annotations are unions of sync and async, bytes and text,
that no caller could use unconverted."""

TIMEOUT = 5.0
"""Seconds for a connection or an answer. Four tries with 0.1 to 1 s between them ride out a restart's blink; each
command sent here may safely run twice."""


def connect(control: Control, *, timeout: float = TIMEOUT, tries: int = 4) -> Client:
    """A client whose answers are text. Connects on first use; the caller closes it.

    Args:
        timeout: seconds for a connection or an answer. tries: how often it is asked altogether.
    """
    url = control.url.get_secret_value()
    tcp = {} if url.startswith("unix:") else {"socket_keepalive": True}  # which redis-py's unix sockets do not know
    return redis.Redis.from_url(
        url,
        decode_responses=True,
        protocol=2,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        health_check_interval=30,
        retry=Retry(ExponentialBackoff(cap=1.0, base=0.1), tries - 1),
        **tcp,
    )


@contextmanager
def speaking(client: Client) -> Iterator[None]:
    """
    Raises:
        ControlUnreachable: in place of any error of redis-py.
    """
    try:
        yield
    except (redis.RedisError, OSError) as error:
        detail = str(error).partition("\n")[0][:200]
        shown = masked_url(_address(client))
        raise ControlUnreachable(f"the control Redis {shown} does not serve", detail=detail) from None


def _address(client: Client) -> str:
    options = client.connection_pool.connection_kwargs
    if path := options.get("path"):
        return f"unix://{path}"
    return f"redis://{options.get('host')}:{options.get('port')}/{options.get('db', 0)}"

"""What Celery's Redis transport has to be told, and the beat that keeps a long run's message from being sent again.

kombu puts a delivered message back into its queue once it has been unacknowledged for longer than the visibility
timeout, whether its worker lives or not (celery issue 5935). So the timeout is short, minutes, and whoever works on
a message says so by moving it to the front of the index that the sweep reads.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from redis.connection import parse_url

from tasks.control import connect, speaking
from tasks.settings import Control

__all__ = ["keep_message", "transport_options", "url"]

UNACKED_INDEX = "unacked_index"
"""kombu's sorted set of delivered messages by delivery time (kombu/transport/redis.py, unacked_index_key)."""


def url(control: Control) -> str:
    """The control Redis as Celery spells it, for broker and results alike.

    Read as redis-py reads it and written anew, because the two differ: what redis-py takes from the query (`db`,
    `password`) Celery does not see, and would then use another database than the leases; a unix socket has a scheme
    of its own there; and TLS must say how certificates are checked: they are required unless the settings say
    otherwise.
    """
    given = control.url.get_secret_value()
    told: dict[str, Any] = dict(parse_url(given))  # type: ignore[no-untyped-call]
    user, password = (quote(told.get(name, ""), safe="") for name in ("username", "password"))
    login = f"{user}:{password}@" if user or password else ""
    db = told.get("db", 0)
    if "path" in told:
        return f"redis+socket://{login}{quote(told['path'])}?virtual_host={db}"
    host = told.get("host", "localhost")
    shown = f"[{host}]" if ":" in host else quote(host)
    scheme, query = urlsplit(given).scheme, urlsplit(given).query
    tls = {name: value for name, value in parse_qsl(query) if name.startswith("ssl_")}
    if scheme == "rediss":
        tls.setdefault("ssl_cert_reqs", "required")
    options = f"?{urlencode(tls)}" if tls else ""
    return f"{scheme}://{login}{shown}:{told.get('port', 6379)}/{db}{options}"


def transport_options(control: Control) -> dict[str, Any]:
    """For the broker; every worker and sender must have the same."""
    return {
        "visibility_timeout": control.visibility,
        # How often messages of dead workers are looked for, in seconds; the throttle would make it ten times that.
        "unacked_restore_interval": min(10, control.visibility / 3),
        "unacked_restore_throttle": 1,
        "global_keyprefix": f"{control.namespace}:celery:",
        "socket_keepalive": True,
        "health_check_interval": 30,
    }


def keep_message(control: Control, delivery_tag: str) -> Callable[[], None]:
    """A function that tells the broker that this message is still being worked on.

    It only moves a message that is still there (XX): one that was acknowledged stays gone.
    """
    index = transport_options(control)["global_keyprefix"] + UNACKED_INDEX

    def keep() -> None:
        client = connect(control)
        try:
            with speaking(client):
                client.zadd(index, {delivery_tag: time.time()}, xx=True)
        finally:
            client.close()

    return keep

"""Who works here, and with which settings each was started: said by every worker and beat, in the control Redis.

Two processes of one installation must agree on nearly everything in redkeep.toml: on the visibility timeout, or long
runs are delivered twice (kombu issue 1103); on targets and schedules, or what is sent meets a worker that does not know
it. What each says is a few digits for each table of the settings. No secret goes into them, so that no digest can be
used to try passwords; nor do paths and keys that may differ from host to host.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from tasks import names
from tasks.control import Client, connect, speaking
from tasks.settings import Settings, Target

__all__ = ["Entry", "differing", "digests", "enlist", "entries"]

KEPT = 256
"""Processes whose word is kept: containers have a new name each time they start."""
LOCAL = {"identity_files", "signing_key_file", "data_dir", "redis_server"}
"""Fields that say where something lies on one host. (So may [control] url, and whoever reads this has found it.)"""


@dataclass(frozen=True)
class Entry:
    """What a process said when it was ready, in seconds since 1970. ``tables`` is as :func:`digests` makes it."""

    at: float
    version: str
    visibility: float
    tables: dict[str, str]


def digests(settings: Settings) -> dict[str, str]:
    """Eight hex digits for each table, by its name as redkeep.toml spells it."""
    tables: dict[str, Any] = {
        f"[{name}]": getattr(settings, name).model_dump(mode="json") for name in ("control", "store", "encryption")
    }
    tables |= {f"[[target]] {target.name}": _shown(target) for target in settings.target}
    return {name: _digest(table) for name, table in tables.items()}


def _shown(target: Target) -> dict[str, Any]:
    table = target.model_dump(mode="json")
    table["url"] = names.masked_url(target.url.get_secret_value())
    table["persistence"]["config"] = sorted(target.persistence.config)  # the values may hold a password
    return table


def _digest(table: Any) -> str:
    text = json.dumps(_without_local(table), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _without_local(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_local(each) for name, each in value.items() if name not in LOCAL}
    return value


def enlist(settings: Settings, name: str) -> None:
    """Say that the process of this name works with these settings.

    Raises:
        ControlUnreachable: nobody can be told.
    """
    key = names.Keys(settings.control.namespace).roster()
    said = Entry(time.time(), version("redkeep"), settings.control.visibility, digests(settings))
    client = connect(settings.control)
    try:
        with speaking(client):
            client.hset(key, name, json.dumps(asdict(said)))
        known = entries(client, settings.control.namespace)
        with speaking(client):
            for old in sorted(known, key=lambda each: known[each].at)[:-KEPT]:
                client.hdel(key, old)
    finally:
        client.close()


def entries(client: Client, namespace: str) -> dict[str, Entry]:
    """What everybody said last, by name; also those who are gone since."""
    with speaking(client):
        found: dict[str, str] = client.hgetall(names.Keys(namespace).roster())
    return {name: Entry(**json.loads(text)) for name, text in found.items()}


def differing(entry: Entry, ours: dict[str, str]) -> list[str]:
    """The tables in which its settings are not these; all that only one of the two has among them."""
    return sorted(name for name in {*entry.tables, *ours} if entry.tables.get(name) != ours.get(name))

"""What tidy remembers of a target from run to run, in the control Redis: where an unfinished sweep stopped, which rules
have run for real, and the server's time of the last run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from tasks.control import Client, speaking
from tasks.names import Keys
from tasks.tidy.policy import Policy, Rule
from tasks.tidy.sweep import Place

__all__ = ["Notebook", "digest"]

KEPT = 400 * 86_400
"""Seconds after which a target that nobody tidies is forgotten."""


class Notebook:
    """One target's. Every method raises ControlUnreachable where the control Redis does not answer."""

    def __init__(self, client: Client, names: Keys, target: str) -> None:
        self._client = client
        self._key = names.tidy(target)

    # -- the place -----------------------------------------------------------------------------------------

    def place(self, policy: Policy, server_run: str) -> Place | None:
        """Where the last sweep stopped, if it was by these rules and the server still is the process it was: another
        orders its keys anew."""
        told = json.loads(self._read("place") or "{}")
        if (told.get("rules"), told.get("server")) != (_digest_of_all(policy), server_run):
            return None
        return Place(told["database"], told["cursor"].encode())

    def keep_place(self, place: Place | None, policy: Policy, server_run: str) -> None:
        """None: it came to its end, and the next one begins anew."""
        if place is None:
            with speaking(self._client):
                self._client.hdel(self._key, "place")
            return
        told = {"database": place.database, "cursor": place.cursor.decode()}
        self._write("place", json.dumps(told | {"rules": _digest_of_all(policy), "server": server_run}))

    # -- rules that have proven themselves -----------------------------------------------------------------

    def unproven(self, policy: Policy) -> list[str]:
        """The names of the rules that have not run for real yet, as they are written now."""
        proven = set(json.loads(self._read("proven") or "[]"))
        return [rule.name for rule in policy.rules if digest(rule) not in proven]

    def prove(self, policy: Policy) -> None:
        self._write("proven", json.dumps(sorted(digest(rule) for rule in policy.rules)))

    # -- the server's time ---------------------------------------------------------------------------------

    def last_time(self) -> float:
        """Seconds since 1970 by the server's clock, when it was last tidied; 0 where it never was."""
        return float(self._read("time") or 0)

    def keep_time(self, now: float) -> None:
        self._write("time", repr(now))

    # -- how -----------------------------------------------------------------------------------------------

    def _read(self, field: str) -> str | None:
        with speaking(self._client):
            found: str | None = self._client.hget(self._key, field)
            return found

    def _write(self, field: str, value: str) -> None:
        with speaking(self._client), self._client.pipeline() as pipe:
            pipe.hset(self._key, field, value)
            pipe.expire(self._key, KEPT)
            pipe.execute()


def digest(rule: Rule) -> str:
    """The same for as long as nothing of the rule changes."""
    return _hash([repr(rule)])


def _digest_of_all(policy: Policy) -> str:
    return _hash(repr(rule) for rule in policy.rules)


def _hash(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]

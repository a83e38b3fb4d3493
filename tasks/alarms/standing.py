"""The alarms that stand, in the control Redis: a hash per target. Lost with it, they are raised again."""

from __future__ import annotations

import json
from dataclasses import asdict

from pydantic import TypeAdapter, ValidationError

from tasks.alarms.course import Change, Standing
from tasks.control import Client, speaking
from tasks.names import Keys

__all__ = ["Alarms", "parsed"]

KEPT = 7 * 86_400
"""Seconds for which a target's alarms outlive the last look; one that the settings no longer name has none."""

# Compare and set: of two that look at the same moment, one alone takes the step.
_SETTLE = """
if (redis.call('HGET', KEYS[1], ARGV[1]) or '') ~= ARGV[2] then return 0 end
if ARGV[3] == '' then redis.call('HDEL', KEYS[1], ARGV[1])
else redis.call('HSET', KEYS[1], ARGV[1], ARGV[3]) end
redis.call('EXPIRE', KEYS[1], ARGV[4])
return 1
"""
_STANDING = TypeAdapter(Standing)


class Alarms:
    """The alarms of one target."""

    def __init__(self, client: Client, names: Keys, target: str) -> None:
        self._client = client
        self._key = names.alarms(target)

    def read(self) -> dict[str, Standing]:
        """By kind. What cannot be read is removed: an alarm is then raised again rather than never."""
        with speaking(self._client):
            found: dict[str, str] = self._client.hgetall(self._key)
            standing = parsed(found)
            if unreadable := sorted(found.keys() - standing.keys()):
                self._client.hdel(self._key, *unreadable)
        return standing

    def settle(self, change: Change, *, told: bool) -> bool:
        """Take the step. False, and nothing changes, where somebody else took one meanwhile."""
        after = change.after if told or change.event is None else change.untold
        before, then = _flat(change.before), _flat(after)
        with speaking(self._client):
            return bool(self._client.eval(_SETTLE, 1, self._key, change.kind, before, then, KEPT))


def parsed(fields: dict[str, str]) -> dict[str, Standing]:
    """What a target's hash says, without what cannot be read."""
    standing: dict[str, Standing] = {}
    for kind, text in fields.items():
        try:
            each = _STANDING.validate_json(text, strict=True)
        except ValidationError:
            continue
        if each.kind == kind and _flat(each) == text:
            standing[kind] = each
    return standing


def _flat(standing: Standing | None) -> str:
    return "" if standing is None else json.dumps(asdict(standing))

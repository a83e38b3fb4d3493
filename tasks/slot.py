"""The slot: the one time a scheduled run stands for. However often it is sent, it is done once.

A slot is claimed by a task id for a while, entered again by the same task id, committed only by success and
released by failure. Two beats, a lost reply, a redelivered message: one backup.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.control import Client, speaking
from tasks.errors import SlotBusy, SlotCommitted
from tasks.names import ROUTINE, Keys

__all__ = ["REMEMBERED", "ROUTINELY", "Slot"]

ROUTINELY = 3600
"""The same for what comes every few minutes: 2,000 slots a week of each target would only fill the control Redis."""
REMEMBERED = 8 * 86_400
"""Seconds for which a committed slot is known here; longer than any beat's catch-up. The store's manifest of that
id refuses for ever."""

_CLAIM = """
local owner, state = redis.call('HGET', KEYS[1], 'task_id'), redis.call('HGET', KEYS[1], 'state')
if state == 'committed' then
  if owner == ARGV[1] then return {'claimed', owner} end
  return {state, owner}
end
if owner and owner ~= ARGV[1] then return {'held', owner} end
redis.call('HSET', KEYS[1], 'task_id', ARGV[1], 'state', 'claimed')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return {'claimed', ARGV[1]}
"""

_RELEASE = """
if redis.call('HGET', KEYS[1], 'task_id') == ARGV[1] and redis.call('HGET', KEYS[1], 'state') == 'claimed'
then return redis.call('DEL', KEYS[1]) end
return 0
"""


@dataclass(frozen=True)
class Slot:
    client: Client
    names: Keys
    name: str
    task_id: str

    def claim(self, ttl: float) -> None:
        """Claim it, or hold on to it, for `ttl` seconds.

        A task that has committed it enters again as well and leaves it committed: an earlier attempt died before it
        could say so, and the verb will find what that one did.

        Raises:
            SlotCommitted: another task has done it.
            SlotBusy: another task is doing it.
        """
        with speaking(self.client):
            answer = self.client.eval(_CLAIM, 1, self.names.slot(self.name), self.task_id, str(int(ttl * 1000)))
        state, owner = answer
        if state == "committed":
            raise SlotCommitted(f"slot {self.name} was done by run {owner}")
        if state == "held":
            raise SlotBusy(f"slot {self.name} is being done by run {owner}")

    def commit(self) -> None:
        """It is done. Not conditional: by now the store says so too."""
        key = self.names.slot(self.name)
        with speaking(self.client), self.client.pipeline() as pipe:
            pipe.hset(key, mapping={"task_id": self.task_id, "state": "committed"})
            pipe.expire(key, ROUTINELY if self.name.partition("/")[0] in ROUTINE else REMEMBERED)
            pipe.execute()

    def release(self) -> None:
        """Let another run try; nothing happens where it is not ours any more."""
        with speaking(self.client):
            self.client.eval(_RELEASE, 1, self.names.slot(self.name), self.task_id)

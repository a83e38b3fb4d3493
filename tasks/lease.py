"""The lease: at most one run at a time forks or churns a target, or any target of one host.

One Lua call takes all the resources or none. Taking them again with the same token is a refresh with the same
fence, so a lost reply may be retried. The fence rises even when the control Redis lost its tail, because it never
falls behind the server's clock. Redis cannot promise more than its own durability: what a failed-over or evicting
control Redis can break, the manifest's conditional write still holds (docs/operations.md).

Who waits for a lease says so beside it, and a run that can be interrupted gives way.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from tasks.control import Client, speaking
from tasks.errors import LeaseBusy, LeaseLost
from tasks.names import Keys

__all__ = ["Lease", "acquire", "content", "want", "wanted"]

_ACQUIRE = """
local token, ttl, holder = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local last = KEYS[#KEYS]
local mine = 0
for i = 1, #KEYS - 1 do
  local owner = redis.call('HGET', KEYS[i], 'token')
  if owner == token then mine = mine + 1
  elseif owner then return {0, redis.call('HGET', KEYS[i], 'holder'), redis.call('PTTL', KEYS[i])} end
end
local fence
if mine == #KEYS - 1 then
  fence = redis.call('HGET', KEYS[1], 'fence')
else
  local now = redis.call('TIME')
  fence = math.max(tonumber(redis.call('GET', last) or 0) + 1, now[1] * 1000000 + now[2])
  fence = string.format('%.0f', fence)
  redis.call('SET', last, fence)
end
for i = 1, #KEYS - 1 do
  redis.call('HSET', KEYS[i], 'token', token, 'fence', fence, 'holder', holder)
  redis.call('PEXPIRE', KEYS[i], ttl)
end
return {1, fence}
"""

_RENEW = """
for i = 1, #KEYS do
  if redis.call('HGET', KEYS[i], 'token') ~= ARGV[1] then return 0 end
end
for i = 1, #KEYS do redis.call('PEXPIRE', KEYS[i], ARGV[2]) end
return 1
"""

_RELEASE = """
for i = 1, #KEYS do
  if redis.call('HGET', KEYS[i], 'token') == ARGV[1] then redis.call('DEL', KEYS[i]) end
end
return 1
"""

_CONTENT = """
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[1] then redis.call('DEL', KEYS[i]) end
end
return 1
"""


def _uptime() -> float:
    """Seconds on a clock that also runs while the machine, or this process, is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass
class Lease:
    """Resources held under one token.

    Attributes:
        marks: keys under which others say that they wait for it.
        fence: rises with every new holder; microseconds since 1970 or one above the last.
        proven_until: on the uptime clock; past it somebody else may hold the lease.
    """

    client: Client
    keys: list[str]
    marks: list[str]
    token: str
    ttl: float
    fence: int
    proven_until: float

    def check(self) -> None:
        """
        Raises:
            LeaseLost: it could not be proven in time. Costs nothing, so it may be called for every chunk.
        """
        if _uptime() >= self.proven_until:
            raise LeaseLost("the lease could not be renewed in time")

    def renew(self) -> None:
        """Hold on for another `ttl` seconds.

        Raises:
            LeaseLost: somebody else has it, or nobody.
            ControlUnreachable: not known; :meth:`check` tells when that has lasted too long.
        """
        asked = _uptime()
        with speaking(self.client):
            held = self.client.eval(_RENEW, len(self.keys), *self.keys, self.token, str(_ms(self.ttl)))
        if not held:
            self.proven_until = 0.0
            raise LeaseLost("the lease ended while the run went on")
        self.proven_until = asked + self.ttl

    def wanted(self) -> str:
        """The run that waits for it, or nothing. Raises as :meth:`renew`."""
        return _waiting(self.client, self.marks)

    def release(self) -> None:
        """Give it back if it is still ours.

        Raises:
            ControlUnreachable: then it ends by itself after `ttl` seconds.
        """
        with speaking(self.client):
            self.client.eval(_RELEASE, len(self.keys), *self.keys, self.token)


def acquire(
    client: Client, names: Keys, resources: Sequence[str], *, token: str, holder: str, ttl: float
) -> Lease:
    """Take all the resources, or none.

    Args:
        resources: like ``target:main`` and ``host:db1``.
        token: whose it is: task id and attempt.
        holder: what others are told, like "backup main, run 7f3a, on web1".
        ttl: seconds after which it ends unless renewed.

    Raises:
        LeaseBusy: naming the holder.
        ControlUnreachable: not known whether it was taken; take it again with the same token.
    """
    keys = [names.lease(resource) for resource in resources]
    asked = _uptime()
    with speaking(client):
        answer = client.eval(_ACQUIRE, len(keys) + 1, *keys, names.fence(), token, str(_ms(ttl)), holder)
    taken, told, *left = answer
    if not taken:
        raise LeaseBusy(f"the lease is held by {told}", detail=f"ends in {left[0] / 1000:.0f} s unless renewed")
    return Lease(client, keys, [names.wanted(each) for each in resources], token, ttl, int(told), asked + ttl)


def want(client: Client, names: Keys, resources: Sequence[str], *, run_id: str, ttl: float) -> None:
    """Say that a run waits for the resources, so that one which can be interrupted gives way. Said again at each try;
    it ends with `content`, or after `ttl` seconds."""
    with speaking(client), client.pipeline(transaction=False) as pipe:
        for resource in resources:
            pipe.set(names.wanted(resource), run_id, px=_ms(ttl))
        pipe.execute()


def content(client: Client, names: Keys, resources: Sequence[str], *, run_id: str) -> None:
    """Say that the run waits no longer."""
    with speaking(client):
        client.eval(_CONTENT, len(resources), *(names.wanted(resource) for resource in resources), run_id)


def wanted(client: Client, names: Keys, resources: Sequence[str]) -> str:
    """The run that waits for one of the resources, or nothing."""
    return _waiting(client, [names.wanted(resource) for resource in resources])


def _waiting(client: Client, marks: list[str]) -> str:
    with speaking(client):
        return next(filter(None, client.mget(marks)), "")


def _ms(seconds: float) -> int:
    return int(seconds * 1000)

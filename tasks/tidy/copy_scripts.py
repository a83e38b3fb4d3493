"""What runs inside the server for `keep_copy`, in one atomic step each: copying keys whose conditions hold, and acting
on those that are still as they were copied."""

from __future__ import annotations

from tasks.tidy.scripts import ACT, HOLDS

__all__ = ["COMPARE", "COPY"]

EXPIRY = """
-- When the key expires, in milliseconds since 1970; -1: never. Before 7.0 only what is left is told.
local modern = ARGV[1] == '1'
local function expiry(key)
  if modern then return redis.call('PEXPIRETIME', key) end
  local left = redis.call('PTTL', key)
  if left < 0 then return left end
  local time = redis.call('TIME')
  return left + time[1] * 1000 + math.floor(time[2] / 1000)
end
"""

COPY = (
    HOLDS
    + EXPIRY
    + """
local largest, budget, kind, amount, want = tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5], conditions(6)

local function has_surplus(key, kind_of_key)
  if kind == 'drop_scores_older_than' then
    return kind_of_key == 'zset' and redis.call('ZCOUNT', key, '-inf', '(' .. amount) > 0
  elseif kind == 'drop_entries_older_than' then
    return kind_of_key == 'stream' and #redis.call('XRANGE', key, '-', '(' .. amount .. '-0', 'COUNT', 1) > 0
  end
  return true
end

local function copy(key)
  local bytes = redis.call('MEMORY', 'USAGE', key, 'SAMPLES', SAMPLES)
  if not bytes then return 'gone' end
  if bytes > largest then return 'large' end
  if not holds(key, want, {bytes = bytes}) then return 'changed' end
  local kind_of_key = redis.call('TYPE', key).ok
  if not has_surplus(key, kind_of_key) then return 'spare' end
  budget = budget - bytes
  return {bytes, expiry(key), kind_of_key, redis.call('DUMP', key)}
end

local copied = {}
for at, key in ipairs(KEYS) do
  if budget <= 0 then break end
  copied[at] = copy(key)
end
return {redis.call('TIME'), copied}
"""
)
"""ARGV: whether PEXPIRETIME is there, the bytes of the largest key to be copied, the bytes to stop after, the action's
kind and amount, six conditions. Gives the time and, for the first keys (as many as the budget was enough for): bytes,
expiry, type and payload; or a word: ``gone``, too ``large``, ``changed`` so that a condition does not hold any more, or
``spare``, with nothing in it that is old enough."""

COMPARE = (
    HOLDS
    + ACT
    + EXPIRY
    + """
local slack, kind, amount, freq = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])

local function is_same(key, length, checksum, expires, idle)
  if not holds(key, {idle = idle, freq = freq}, {}) or math.abs(expiry(key) - expires) > slack then return false end
  local payload = redis.call('DUMP', key)
  return payload and #payload == length and string.sub(payload, -8) == checksum
end

local function act_on_all(key)
  local elements = 0
  repeat
    local _, gone, left = act(key, kind, amount, 1000000000)
    elements = elements + gone
  until left == 0
  local rest = kind ~= 'expire_in' and redis.call('MEMORY', 'USAGE', key, 'SAMPLES', SAMPLES)
  return {elements, rest or 0}
end

local done = {}
for at, key in ipairs(KEYS) do
  local length, checksum, expires, idle = unpack(ARGV, 4 * at + 2, 4 * at + 5)
  if redis.call('EXISTS', key) == 0 then
    done[at] = 'gone'
  elseif is_same(key, tonumber(length), checksum, tonumber(expires), tonumber(idle)) then
    done[at] = act_on_all(key)
  else
    done[at] = 'changed'
  end
end
return done
"""
)
"""Acts on each key that is as it was copied: on all of it in this one step, because an element that came in between two
steps would go without a copy. ARGV: whether PEXPIRETIME is there, the milliseconds by which an expiry may differ, kind
and amount of the action, the LFU counter at most; then for each key the payload's length and last eight bytes, its
expiry, and its idle seconds at least (the limits empty where they do not matter). Gives for each key the elements that
went and the bytes that are left; or a word: ``gone`` or ``changed``."""

"""What runs inside the server, in one atomic step each: looking through a piece of the keyspace, and acting on keys
whose conditions still hold there and then.

Conditions travel as six words, empty where a rule does not have one: type, ttl (milliseconds, or ``never``), idle,
freq, bytes, elements. Idle is asked first and elements last: counting makes a key young before 7.2. Where keys share
one object for a small number they share its idle time as well (before 8.2), so such a key's own is not known.
"""

from __future__ import annotations

import math

from tasks.facts import NEVER
from tasks.sample import MEMORY_SAMPLES
from tasks.server import Word
from tasks.tidy.policy import IDLE_LIMIT, Rule

__all__ = ["ACT", "HOLDS", "LOOK", "REMOVE", "amount_of", "conditions_of"]

HOLDS = (
    f"local IDLE_LIMIT, SAMPLES = {IDLE_LIMIT}, {MEMORY_SAMPLES}"
    """
if redis.replicate_commands then redis.replicate_commands() end -- else 6.2 lets nothing be written after OBJECT or PTTL
local COUNT = {list = 'LLEN', hash = 'HLEN', set = 'SCARD', zset = 'ZCARD', stream = 'XLEN'}
local ASK = {
  type = function(key) return redis.call('TYPE', key).ok end,
  ttl = function(key) return redis.call('PTTL', key) end,
  idle = function(key)
    local idle = redis.call('OBJECT', 'IDLETIME', key)
    if idle and idle > 0 and redis.call('OBJECT', 'REFCOUNT', key) > 1 then return false end
    return idle
  end,
  freq = function(key) return redis.call('OBJECT', 'FREQ', key) end,
  bytes = function(key) return redis.call('MEMORY', 'USAGE', key, 'SAMPLES', SAMPLES) end,
  elements = function(key)
    local count = COUNT[redis.call('TYPE', key).ok]
    return count and redis.call(count, key)
  end,
}
local function known(key, fact, facts)
  if facts[fact] == nil then facts[fact] = ASK[fact](key) or false end
  return facts[fact]
end
-- The six words at ARGV[at], read once for all keys.
local function conditions(at)
  return {type = ARGV[at] ~= '' and ARGV[at], ttl = ARGV[at + 1] == 'never' and -1 or tonumber(ARGV[at + 1]),
    idle = tonumber(ARGV[at + 2]), freq = tonumber(ARGV[at + 3]), bytes = tonumber(ARGV[at + 4]),
    elements = tonumber(ARGV[at + 5])}
end
-- Whether all of them hold for the key now. `facts` is what was asked of it so far; start with {}.
local function holds(key, want, facts)
  if want.idle then
    local idle = known(key, 'idle', facts)
    if not idle or idle < want.idle or idle >= IDLE_LIMIT then return false end
  end
  if want.freq then
    local freq = known(key, 'freq', facts)
    if not freq or freq > want.freq then return false end
  end
  if want.type and known(key, 'type', facts) ~= want.type then return false end
  if want.ttl then
    local ttl = known(key, 'ttl', facts)
    if ttl == -2 or (ttl ~= -1 and (want.ttl == -1 or ttl < want.ttl)) then return false end
  end
  if want.bytes and (known(key, 'bytes', facts) or -1) < want.bytes then return false end
  if want.elements and (known(key, 'elements', facts) or -1) < want.elements then return false end
  return true
end
"""
)
"""``conditions(at)`` and ``holds(key, want, facts)``; `want` is what the former gives."""

ACT = """
-- Act on one key, taking at most `limit` elements out of it. Gives whether there was anything to do, how many elements
-- went, and how many still have to. `amount` is in the unit of the action's own command.
local function act(key, kind, amount, limit)
  if kind == 'delete' then return redis.call('UNLINK', key), 0, 0 end
  if kind == 'expire_in' then return redis.call('PEXPIRE', key, amount), 0, 0 end
  local is, gone, left = redis.call('TYPE', key).ok, 0, 0
  if kind == 'trim_to' and is == 'list' then
    local length = redis.call('LLEN', key)
    gone = math.max(math.min(length - amount, limit), 0)
    left = math.max(length - amount - gone, 0)
    if gone > 0 then redis.call('LTRIM', key, 0, length - gone - 1) end
  elseif kind == 'trim_to' and is == 'stream' then
    local length = redis.call('XLEN', key)
    local wanted = math.max(math.min(length - amount, limit), 0)
    if wanted > 0 then gone = redis.call('XTRIM', key, 'MAXLEN', string.format('%.0f', length - wanted)) end
    left = math.max(length - amount - gone, 0)
  elseif is == 'zset' and (kind == 'trim_to' or kind == 'drop_scores_older_than') then
    local surplus
    if kind == 'trim_to' then surplus = redis.call('ZCARD', key) - amount
    else surplus = redis.call('ZCOUNT', key, '-inf', '(' .. string.format('%.17g', amount)) end
    gone = math.max(math.min(surplus, limit), 0)
    left = math.max(surplus - gone, 0)
    if gone > 0 then redis.call('ZREMRANGEBYRANK', key, 0, gone - 1) end
  elseif is == 'stream' and kind == 'drop_entries_older_than' then
    local id = string.format('%.0f', amount)
    -- Whole nodes first, which can be bounded; of what is left, the last node at most has to be looked through.
    gone = redis.call('XTRIM', key, 'MINID', '~', id, 'LIMIT', math.max(limit, 100))
    if gone > 0 then left = 1 else gone = redis.call('XTRIM', key, 'MINID', id) end
  end
  return (gone > 0 and 1 or 0), gone, left
end
"""
"""``act(key, kind, amount, limit)``. The amount is in milliseconds for `expire_in`, in elements for `trim_to`, a unix
time in seconds for scores and in milliseconds for entries of streams; see `amount_of`."""

# ARGV: kind, amount, limit, whether the first key was begun already, six conditions. Gives how many keys are finished,
# how many of them were acted on, how many kept because a condition did not hold any more, and the elements removed.
REMOVE = (
    HOLDS
    + ACT
    + """
local kind, amount, limit, begun, want = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4] == '1', conditions(5)
local finished, acted, changed, elements = 0, 0, 0, 0
for _, key in ipairs(KEYS) do
  if limit <= 0 then break end
  if begun or holds(key, want, {}) then
    local did, gone, left = act(key, kind, amount, limit)
    elements, limit = elements + gone, limit - gone
    if left > 0 then return {finished, acted, changed, elements, 1} end
    if begun or did == 1 then acted = acted + 1 end
  elseif redis.call('EXISTS', key) == 1 then
    changed = changed + 1
  end
  begun = false
  finished = finished + 1
end
return {finished, acted, changed, elements, 0}
"""
)

# ARGV: cursor, count, pattern, type, number of facts, the facts, and for each rule: the beginning of the names that it
# is for, whether that is all it says of names, its conditions. Gives the cursor, how many keys were met, how many of
# them each rule is for by name, and for each key that some rule may fit the key and its facts.
LOOK = (
    HOLDS
    + """
local scan = {'SCAN', ARGV[1], 'COUNT', ARGV[2]}
if ARGV[3] ~= '' then scan[#scan + 1] = 'MATCH'; scan[#scan + 1] = ARGV[3] end
if ARGV[4] ~= '' then scan[#scan + 1] = 'TYPE'; scan[#scan + 1] = ARGV[4] end
local asked, rules, seen, found = {}, {}, {}, {}
for at = 6, 5 + ARGV[5] do asked[#asked + 1] = ARGV[at] end
for at = 6 + ARGV[5], #ARGV, 8 do
  rules[#rules + 1] = {prefix = ARGV[at], length = #ARGV[at], plain = ARGV[at + 1] == '1', want = conditions(at + 2)}
  seen[#seen + 1] = 0
end
local reply = redis.call(unpack(scan))
for _, key in ipairs(reply[2]) do
  local facts, wanted = {}, false
  if ARGV[4] ~= '' then facts.type = ARGV[4] end
  for number, rule in ipairs(rules) do
    if rule.length == 0 or string.sub(key, 1, rule.length) == rule.prefix then
      if rule.plain then seen[number] = seen[number] + 1 end
      wanted = wanted or not rule.plain or holds(key, rule.want, facts)
    end
  end
  if wanted then
    found[#found + 1] = key
    for _, fact in ipairs(asked) do found[#found + 1] = known(key, fact, facts) end
  end
end
return {reply[1], #reply[2], seen, found}
"""
)


def conditions_of(rule: Rule) -> tuple[Word, ...]:
    """The rule's six words."""
    ttl: Word = ""
    if rule.ttl is not None:
        ttl = "never" if rule.ttl == NEVER else math.ceil(rule.ttl * 1000)
    idle = None if rule.idle is None else math.ceil(rule.idle)
    counts = (idle, rule.freq, rule.bytes, rule.elements)
    return rule.type or "", ttl, *("" if each is None else each for each in counts)


def amount_of(rule: Rule, now: float) -> str:
    """The action's amount as `act` takes it.

    >>> from tasks.glob import Glob
    >>> from tasks.tidy.policy import Action
    >>> [amount_of(Rule("r", Glob("*"), Action(kind, 60)), 1_800_000_000.5) for kind in (
    ...     "delete", "expire_in", "trim_to", "drop_scores_older_than", "drop_entries_older_than")]
    ['60', '60000', '60', '1799999940.5', '1799999940500']
    """
    amount = rule.action.amount
    match rule.action.kind:
        case "expire_in":
            return f"{amount * 1000:.0f}"
        case "drop_scores_older_than":
            return repr(now - amount)
        case "drop_entries_older_than":
            return f"{(now - amount) * 1000:.0f}"
    return f"{amount:.0f}"

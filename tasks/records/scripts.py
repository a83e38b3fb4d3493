"""The changes of a record, each one Lua call, so that two workers with one message cannot both own it.

KEYS are the record, its beat's key and the tally (for QUEUE: the record, its index, the index of indexes; for PRUNE:
the index). No script leaves a key behind that does not expire.
"""

_NOW = "local t = redis.call('TIME'); local now = string.format('%.6f', t[1] + t[2] / 1000000)\n"

TALLIED = 20_000
"""Fields that the tally has at most: ten thousand triples of target, task and outcome. Then it only counts those."""

_TALLY = f"""
local function tally(state)
  local told = redis.call('HMGET', KEYS[1], 'target', 'task', 'started')
  local about = (told[1] or '') .. ' ' .. (told[2] or '') .. ' ' .. state
  if redis.call('HLEN', KEYS[3]) >= {TALLIED} and redis.call('HEXISTS', KEYS[3], 'runs ' .. about) == 0 then return end
  redis.call('HINCRBY', KEYS[3], 'runs ' .. about, 1)
  redis.call('HINCRBYFLOAT', KEYS[3], 'seconds ' .. about, told[3] and string.format('%.3f', now - told[3]) or 0)
  local left = redis.call('TTL', KEYS[1])
  if left > redis.call('TTL', KEYS[3]) then redis.call('EXPIRE', KEYS[3], left) end
end
"""

QUEUE = (
    _NOW
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued', 'created', now, unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('ZADD', KEYS[3], now, KEYS[2])
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now - ARGV[2])
redis.call('EXPIRE', KEYS[3], ARGV[2])
return 1
"""
)

BEGIN = (
    _NOW
    + """
local state, alive = redis.call('HGET', KEYS[1], 'state'), redis.call('GET', KEYS[2])
if state == 'succeeded' or state == 'failed' or state == 'skipped' or state == 'deferred' or state == 'cancelled'
then return {'final', state} end
if redis.call('HGET', KEYS[1], 'cancel') and state ~= 'running' then
  redis.call('HSET', KEYS[1], 'state', 'cancelled', 'ended', now)
  redis.call('HDEL', KEYS[1], 'error')
  return {'final', 'cancelled'}
end
if state == 'running' and alive and alive ~= ARGV[1] then return {'busy', alive} end
local died = (state == 'died' or state == 'running') and redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1]
if died then
  local attempts = cjson.decode(redis.call('HGET', KEYS[1], 'attempts') or '[]')
  table.insert(attempts, {nonce = redis.call('HGET', KEYS[1], 'nonce'), outcome = 'died',
    host = redis.call('HGET', KEYS[1], 'host'), started = redis.call('HGET', KEYS[1], 'started')})
  redis.call('HSET', KEYS[1], 'attempts', cjson.encode(attempts))
  redis.call('HINCRBY', KEYS[1], 'tries', 1)
end
redis.call('HDEL', KEYS[1], 'ended', 'error', 'progress')
redis.call('HSET', KEYS[1], 'state', 'running', 'nonce', ARGV[1], 'started', now, unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[1], ARGV[3])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'go', died and 'died' or ''}
"""
)

BEAT = """
if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1] then return 'lost' end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[1], 'progress', ARGV[3])
return redis.call('HGET', KEYS[1], 'cancel') and 'cancel' or 'on'
"""

LEAVE = (
    _NOW
    + _TALLY
    + """
if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1] then return 0 end
if ARGV[2] ~= 'waiting' then redis.call('HSET', KEYS[1], 'ended', now)
elseif ARGV[3] == '1' then redis.call('HDEL', KEYS[1], 'waiting_since') -- it got to work, so that wait was over
else redis.call('HSETNX', KEYS[1], 'waiting_since', now) end
redis.call('HINCRBY', KEYS[1], 'tries', ARGV[3])
redis.call('HSET', KEYS[1], 'state', ARGV[2], unpack(ARGV, 4))
redis.call('DEL', KEYS[2])
if ARGV[2] ~= 'waiting' then tally(ARGV[2]) end
return 1
"""
)

CLOSE = (
    _NOW
    + _TALLY
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 0 end
for i = 4, #ARGV do if state == ARGV[i] then
  redis.call('HSET', KEYS[1], 'state', ARGV[1], 'ended', now, ARGV[2], ARGV[3])
  redis.call('DEL', KEYS[2])
  tally(ARGV[1])
  return 1
end end
return 0
"""
)

NOTE = """
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
return 1
"""

PRUNE = (
    _NOW
    + """
local surplus = redis.call('ZRANGE', KEYS[1], 0, -1 - ARGV[1])
for _, id in ipairs(surplus) do
  if redis.call('EXISTS', ARGV[4] .. id) == 0 then -- one at work keeps its record
    redis.call('ZREM', KEYS[1], id)
    redis.call('UNLINK', ARGV[3] .. id)
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
return 1
"""
)

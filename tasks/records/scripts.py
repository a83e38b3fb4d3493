"""The changes of a record, each one Lua call, so that two workers with one message cannot both own it.

KEYS are the record and its beat's key (for QUEUE: the record, its index, the set of indexes).
"""

_NOW = "local t = redis.call('TIME'); local now = string.format('%.3f', t[1] + t[2] / 1000000)\n"

QUEUE = (
    _NOW
    + """
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'state', 'queued', 'created', now, unpack(ARGV, 3))
redis.call('EXPIRE', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], now, ARGV[1])
redis.call('EXPIRE', KEYS[2], ARGV[2])
redis.call('SADD', KEYS[3], KEYS[2])
return 1
"""
)

BEGIN = (
    _NOW
    + """
local state, alive = redis.call('HGET', KEYS[1], 'state'), redis.call('GET', KEYS[2])
if redis.call('HGET', KEYS[1], 'cancel') and state ~= 'running' then
  redis.call('HSET', KEYS[1], 'state', 'cancelled', 'ended', now)
  return {'final', 'cancelled'}
end
if state == 'succeeded' or state == 'failed' or state == 'skipped' or state == 'deferred' or state == 'cancelled'
then return {'final', state} end
if state == 'running' and alive and alive ~= ARGV[1] then return {'busy', alive} end
local died = (state == 'died' or state == 'running') and redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1]
if died then
  local attempts = cjson.decode(redis.call('HGET', KEYS[1], 'attempts') or '[]')
  table.insert(attempts, {nonce = redis.call('HGET', KEYS[1], 'nonce'), outcome = 'died',
    host = redis.call('HGET', KEYS[1], 'host'), started = redis.call('HGET', KEYS[1], 'started')})
  redis.call('HSET', KEYS[1], 'attempts', cjson.encode(attempts))
end
redis.call('HDEL', KEYS[1], 'ended', 'error', 'progress')
redis.call('HSET', KEYS[1], 'state', 'running', 'nonce', ARGV[1], 'started', now, unpack(ARGV, 3))
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
    + """
if redis.call('HGET', KEYS[1], 'nonce') ~= ARGV[1] then return 0 end
if ARGV[2] == 'waiting' then redis.call('HSETNX', KEYS[1], 'waiting_since', now)
else redis.call('HSET', KEYS[1], 'ended', now) end
redis.call('HINCRBY', KEYS[1], 'tries', ARGV[3])
redis.call('HSET', KEYS[1], 'state', ARGV[2], unpack(ARGV, 4))
redis.call('DEL', KEYS[2])
return 1
"""
)

CLOSE = (
    _NOW
    + """
local state = redis.call('HGET', KEYS[1], 'state')
if not state then return 0 end
for i = 4, #ARGV do if state == ARGV[i] then
  redis.call('HSET', KEYS[1], 'state', ARGV[1], 'ended', now, ARGV[2], ARGV[3])
  redis.call('DEL', KEYS[2])
  return 1
end end
return 0
"""
)

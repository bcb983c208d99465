-- The API named its limit: requests in a window. The lowest that was named lately counts. Answers: ok
-- KEYS: limit    ARGV: named, valid us
local limit = KEYS[1]
local named, valid = tonumber(ARGV[1]), tonumber(ARGV[2])

local broken = types(limit, 'hash')
if broken then return broken end
local now = now_us()
local state = redis.call('HMGET', limit, 'named', 'named_until')
if state[1] and tonumber(state[2]) > now and tonumber(state[1]) < named then return { 'ok' } end
redis.call('HSET', limit, 'named', int(named), 'named_until', int(now + valid))
local kept_ms = math.ceil(valid / 1000)
if redis.call('PTTL', limit) < kept_ms then redis.call('PEXPIRE', limit, kept_ms) end
return { 'ok' }

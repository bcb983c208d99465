-- Nobody asks before `wait us` from now. Answers: ok
-- KEYS: limit    ARGV: wait us
local limit = KEYS[1]
local broken = types(limit, 'hash')
if broken then return broken end
local time = redis.call('TIME')
local until_us = time[1] * 1000000 + time[2] + ARGV[1]
local known = redis.call('HGET', limit, 'not_before')
if not known or tonumber(known) < until_us then
  redis.call('HSET', limit, 'not_before', int(until_us))
  local left_ms = math.ceil(ARGV[1] / 1000) + 600000
  if redis.call('PTTL', limit) < left_ms then redis.call('PEXPIRE', limit, left_ms) end
end
return { 'ok' }

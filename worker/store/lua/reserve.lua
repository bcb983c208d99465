-- Reserves the next slots of a rate limit. Answers: ok, us until the first slot | refused, us until it would have been
-- A slot follows the last by `gap us`; of any `most` + 1 slots the last comes at least `window us` after the first
-- (most 0: the gap alone is the limit). Beyond `longest us` nothing is reserved.
-- KEYS: limit, log    ARGV: slots, gap us, most, window us, longest us
local limit, log = unpack(KEYS)
local slots, gap = tonumber(ARGV[1]), tonumber(ARGV[2])
local most, window, longest = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

local broken = types(limit, 'hash', log, 'list')
if broken then return broken end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local state = redis.call('HMGET', limit, 'last', 'not_before')
local first = now
if state[1] then first = math.max(first, state[1] + gap) end
if state[2] then first = math.max(first, tonumber(state[2])) end
if most > 0 then
  local oldest = redis.call('LINDEX', log, -most)
  if oldest then first = math.max(first, oldest + window) end
end
if first - now > longest then return { 'refused', first - now } end

local last = first + (slots - 1) * gap
local forget_ms = int(math.ceil((last - now + window) / 1000) + 600000)
redis.call('HSET', limit, 'last', int(last))
redis.call('PEXPIRE', limit, forget_ms)
if most > 0 then
  for i = 0, slots - 1 do redis.call('RPUSH', log, int(first + i * gap)) end
  redis.call('LTRIM', log, -most, -1)
  redis.call('PEXPIRE', log, forget_ms)
end
return { 'ok', first - now }

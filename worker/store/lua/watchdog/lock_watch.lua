-- Lets one watcher look at a time, and mends what a clock that was set back has left in the future: times in sorted sets
-- are moved back by as much, and one that lies further ahead than anything is put off is due now. A lock that would last
-- longer than any lock does is none.
-- Answers: ok, 1 (the caller may look) or 0, ms by which the clock was set back (0: it was not)
-- KEYS: watch, clock, sorted set of times, ...    ARGV: ms for which nobody else looks, ms that nothing is put off beyond
local watch, clock = unpack(KEYS)
local for_ms, furthest_ms = ARGV[1], tonumber(ARGV[2])
local LONGEST_LOCK_MS, UNNOTICED_MS, AT_ONCE = 1000, 2000, 1000

local left_ms = redis.call('PTTL', watch)
if left_ms == -1 or (tonumber(for_ms) <= LONGEST_LOCK_MS and left_ms > LONGEST_LOCK_MS) then redis.call('DEL', watch) end
if not redis.call('SET', watch, '1', 'NX', 'PX', for_ms) then return { 'ok', 0, 0 } end
local now = now_ms()
local set_back = 0
if types(clock, 'hash') then redis.call('DEL', clock) end
for i = 3, #KEYS do
  local times = KEYS[i]
  if types(times, 'zset') == nil then
    local before = tonumber(redis.call('HGET', clock, times) or '0') or 0
    local by = before - now > UNNOTICED_MS and before - now or 0
    if by > 0 then
      set_back = by
      local ahead = redis.call('ZRANGEBYSCORE', times, '(' .. int(now), '+inf', 'WITHSCORES')
      for j = 1, #ahead, 2 do
        redis.call('ZADD', times, int(math.max(now, math.min(ahead[j + 1] - by, now + furthest_ms))), ahead[j])
      end
    end
    local too_far = redis.call('ZRANGEBYSCORE', times, '(' .. int(now + furthest_ms), '+inf', 'LIMIT', 0, AT_ONCE)
    for _, member in ipairs(too_far) do redis.call('ZADD', times, int(now), member) end
    redis.call('HSET', clock, times, int(now))
  end
end
return { 'ok', 1, set_back }

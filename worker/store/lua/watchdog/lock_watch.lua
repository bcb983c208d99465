-- Lets one watchdog look at a time, and repairs times that a clock which was set back has left in the future: times in the
-- sorted sets `times` are moved back by as much, and a time further ahead than `furthest_ms` is due now. A lock that would
-- last longer than any lock does is ignored. lock_ms: how long no other worker looks.
-- If a caller that `has_looked` a moment ago finds that no worker has looked for long, no heartbeat could be written either: Redis
-- was away, or its clock was set forward. What fell silent in that time is due only when each living job has had time for a
-- heartbeat. This is done once in `2 * stall_ms` only, so that what is lost is found also if every look comes late.
-- Answers: ok, 1 (the caller may look) or 0, ms by which the clock was set back (0: it was not), words of the duties that have
-- something to do
local LONGEST_LOCK_MS, UNNOTICED_MS, AT_ONCE = 1000, 2000, 1000
local SPARED = 'spared' -- field of `clock`: when that happened last

local left_ms = redis.call('PTTL', lock)
if left_ms == -1 or (lock_ms <= LONGEST_LOCK_MS and left_ms > LONGEST_LOCK_MS) then redis.call('DEL', lock) end
if not redis.call('SET', lock, '1', 'NX', 'PX', int(lock_ms)) then return { 'ok', 0, 0, {} } end
local now = now_ms()
local set_back = 0
if types(clock, 'hash') then redis.call('DEL', clock) end
local looked_at = 0 -- when `due` was looked at last
for _, name in ipairs(times) do
  if types(name, 'zset') == nil then
    local before = tonumber(redis.call('HGET', clock, name) or '0') or 0
    local by = before - now > UNNOTICED_MS and before - now or 0
    if by > 0 then
      set_back = by
      local ahead = redis.call('ZRANGEBYSCORE', name, '(' .. int(now), '+inf', 'WITHSCORES')
      for j = 1, #ahead, 2 do
        redis.call('ZADD', name, int(math.max(now, math.min(ahead[j + 1] - by, now + furthest_ms))), ahead[j])
      end
    end
    local too_far = redis.call('ZRANGEBYSCORE', name, '(' .. int(now + furthest_ms), '+inf', 'LIMIT', 0, AT_ONCE)
    for _, member in ipairs(too_far) do
      -- The mark of a job that was taken may last for hours.
      if redis.call('EXISTS', IN_PROGRESS .. member) == 0 then redis.call('ZADD', name, int(now), member) end
    end
    redis.call('HSET', clock, name, int(now))
    if name == due then looked_at = before end
  end
end

-- Gives living jobs time for a heartbeat after no worker could look since `before`: at least two of them fit into `stall_ms`, and
-- a command that waits for Redis is repeated twice a second.
local function spare(before)
  local spared = tonumber(redis.call('HGET', clock, SPARED) or '0') or 0
  if now - before <= stall_ms / 3 or (spared <= now and now - spared < 2 * stall_ms) then return end
  redis.call('HSET', clock, SPARED, int(now))
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', due, '(' .. int(before), int(now))) do
    redis.call('ZADD', due, int(now + stall_ms / 2 + 1000), member)
  end
end

-- Whether a time in a sorted set has come. A key of another type counts: the duty that reads it reports it.
local function has_due(key)
  return types(key, 'zset') ~= nil or #redis.call('ZRANGEBYSCORE', key, '-inf', int(now), 'LIMIT', 0, 1) > 0
end

-- The same for a set that is looked at only if something in it is due. `note_look` of that look finds a step of the clock, so
-- a time after now stays noted.
local function must_look(key)
  local before = tonumber(redis.call('HGET', clock, key) or '0') or 0
  if before - now > UNNOTICED_MS then return true end
  redis.call('HSET', clock, key, int(now))
  return has_due(key)
end

if has_looked and looked_at > 0 then spare(looked_at) end
local duties = {}
if has_due(due) then append(duties, 'silent') end
if must_look(ticks) then append(duties, 'ticks') end
if must_look(alerts) then append(duties, 'alerts') end
if redis.call('EXISTS', inbox) == 1 then append(duties, 'inbox') end
return { 'ok', 1, set_back, duties }

-- Adds a schedule, or changes the options of the one with its id, whose ticks stay as they are. next_ms: its first tick, nil
-- if it has none. The entry of its tick comes first: an entry without a schedule is dropped at the next check.
-- Answers: created | changed | full (`limit` schedules exist)
local found = redis.call('HMGET', schedule, 'document', 'paused', 'next')
if not found[1] and #redis.call('ZREVRANGE', schedules, 0, -1) >= limit then return { 'full' } end
local now = now_ms()
local changes = { 'document', document }
local tick = found[3]
if not found[1] then
  tick = next_ms and int(next_ms) or ''
  append(changes, 'created_at', int(now), 'paused', '', 'next', tick, 'watched_at', int(now), 'overdue', '')
end
if alerts_after then
  redis.call('ZADD', alerts, int(now), id)
elseif found[1] then
  append(changes, 'overdue', '')
end
if found[2] ~= '1' and tick and tick ~= '' then redis.call('ZADD', ticks, 'NX', tick, id) end
redis.call('ZADD', schedules, 'NX', int(now), id)
redis.call('HSET', schedule, unpack(changes))
return { found[1] and 'changed' or 'created' }

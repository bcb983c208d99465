-- Advances to the next tick of a schedule without a sync. tick_ms: the tick that was missed; nil: there was none.
-- Answers: ok | changed (another worker handled it) | gone
local found = redis.call('HMGET', schedule, 'next', 'paused')
if not found[1] then return { 'gone' } end
if found[2] == '1' or tonumber(found[1]) ~= expected_ms then return { 'changed' } end
local changes = { 'next', next_ms and int(next_ms) or '' }
if tick_ms then append(changes, 'last_tick', int(tick_ms), 'last_result', 'skipped', 'last_sync', '') end
redis.call('HSET', schedule, unpack(changes))
move_tick(ticks, schedule_id, next_ms)
return { 'ok' }

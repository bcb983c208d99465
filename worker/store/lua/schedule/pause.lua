-- Pauses a schedule, or ends its pause: next_ms is its first tick after that. Answers: ok | gone
local found = redis.call('HMGET', schedule, 'document', 'paused')
if not found[1] then return { 'gone' } end
if (found[2] == '1') == paused then return { 'ok' } end
local tick = not paused and next_ms and int(next_ms) or ''
if tick ~= '' then redis.call('ZADD', ticks, tick, id) end
if not paused then redis.call('ZADD', alerts, int(now_ms()), id) end
redis.call('HSET', schedule, 'paused', paused and '1' or '', 'next', tick, 'watched_at', int(now_ms()), 'overdue', '')
if tick == '' then redis.call('ZREM', ticks, id) end
return { 'ok' }

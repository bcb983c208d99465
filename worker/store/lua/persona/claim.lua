-- Takes the right to buy one persona. A claim keeps the time after which its holder takes its POST for lost; a claim of an
-- earlier version has none. Answers: won | held, by, sync id, age ms, settle ms | recorded, record | stale, state, epoch
local refused = stale(sync, 'finalizing', lease)
if refused then return refused end
local record = redis.call('HGET', personas, reference)
if record then return { 'recorded', record } end
local held = redis.call('HMGET', claim, 'by', 'sync', 'at', 'settle_ms')
local now = now_ms()
if held[1] and held[1] ~= by then return { 'held', held[1], held[2], int(now - held[3]), held[4] or '0' } end
if not held[1] then
  redis.call('HSET', claim, 'by', by, 'sync', lease.sync_id, 'at', int(now), 'settle_ms', int(settle_ms))
end
return { 'won' }

-- The right to buy one persona. Answers: won | held, by, sync id, age ms, settle ms | recorded, record | stale, state,
-- epoch. A claim keeps the time after which its own holder takes it for lost; one of an earlier version has none.
-- KEYS: claim, personas, sync    ARGV: by, reference, sync id, epoch, holder, settle ms
local claim, personas, sync = unpack(KEYS)
local by, reference, id, epoch, holder, settle_ms = unpack(ARGV)

local broken = types(claim, 'hash', personas, 'hash', sync, 'hash')
if broken then return broken end
local refused = stale(sync, 'finalizing', epoch, holder)
if refused then return refused end
local record = redis.call('HGET', personas, reference)
if record then return { 'recorded', record } end
local held = redis.call('HMGET', claim, 'by', 'sync', 'at', 'settle_ms')
local now = now_ms()
if held[1] and held[1] ~= by then return { 'held', held[1], held[2], int(now - held[3]), held[4] or '0' } end
if not held[1] then redis.call('HSET', claim, 'by', by, 'sync', id, 'at', int(now), 'settle_ms', settle_ms) end
return { 'won' }

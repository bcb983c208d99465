-- The right to buy one persona. Answers: won | held, by, sync id, age ms | recorded, record | stale, state, epoch
-- KEYS: claim, personas, sync    ARGV: by, reference, sync id, epoch, holder
local claim, personas, sync = unpack(KEYS)
local by, reference, id, epoch, holder = unpack(ARGV)

local broken = types(claim, 'hash', personas, 'hash', sync, 'hash')
if broken then return broken end
local refused = stale(sync, 'finalizing', epoch, holder)
if refused then return refused end
local record = redis.call('HGET', personas, reference)
if record then return { 'recorded', record } end
local held = redis.call('HMGET', claim, 'by', 'sync', 'at')
local now = now_ms()
if held[1] and held[1] ~= by then return { 'held', held[1], held[2], int(now - held[3]) } end
if not held[1] then redis.call('HSET', claim, 'by', by, 'sync', id, 'at', int(now)) end
return { 'won' }

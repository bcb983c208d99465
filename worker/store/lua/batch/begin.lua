-- A job takes a batch; a try at it is begun once.
-- Answers: ok, request, started at ms, work, trouble ms, epoch, counted, pages, profiles, statistics | stale, state, epoch
-- KEYS: sync, due    ARGV: id, slot, number, attempt, holder, stall ms
local sync, due = unpack(KEYS)
local id, slot, number, attempt, holder, stall_ms = unpack(ARGV)

local broken = types(sync, 'hash', due, 'zset')
if broken then return broken end
local batch, at = own_batch(sync, slot, number, attempt, nil)
if not batch then return at end
if batch.holder ~= '-' and batch.holder ~= holder then return { 'stale', at.state, at.epoch } end

batch.holder = holder
set_slot(sync, slot, batch, at)
redis.call('ZADD', due, int(now_ms() + stall_ms), batch_due(id, slot))
local found = redis.call('HMGET', sync, 'request', 'started_at', 'counted', 'pages', 'profiles', 'aggregate')
return { 'ok', found[1], found[2], batch.work, batch.trouble_ms, at.epoch, found[3] or '', found[4], found[5], found[6] }

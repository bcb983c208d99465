-- A sign of life of a batch's job. Answers: ok | stale, state, epoch
-- KEYS: sync, due    ARGV: id, slot, number, attempt, holder, stall ms, note ('' if there is nothing to say)
local sync, due = unpack(KEYS)
local id, slot, number, attempt, holder, stall_ms, note = unpack(ARGV)

local broken = types(sync, 'hash', due, 'zset')
if broken then return broken end
local batch, at = own_batch(sync, slot, number, attempt, holder)
if not batch then return at end
if note ~= '' then redis.call('HSET', sync, 'note', note) end
redis.call('ZADD', due, int(now_ms() + stall_ms), batch_due(id, slot))
return { 'ok' }

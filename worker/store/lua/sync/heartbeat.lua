-- A sign of life of a job. Answers: ok | stale, state, epoch
-- KEYS: sync, due    ARGV: id, state, epoch, holder, stall ms, note
local sync, due = unpack(KEYS)
local id, state, epoch, holder, stall_ms, note = unpack(ARGV)

local broken = types(sync, 'hash', due, 'zset')
if broken then return broken end
local refused = stale(sync, state, epoch, holder)
if refused then return refused end
redis.call('HSET', sync, 'note', note)
redis.call('ZADD', due, int(now_ms() + stall_ms), id)
return { 'ok' }

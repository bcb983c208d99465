-- Stops a sync on request. Answers: ok | ended, state | gone
-- KEYS: sync, queue, due    ARGV: id, retention ms
local sync, queue, due = unpack(KEYS)
local id, retention_ms = unpack(ARGV)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset')
if broken then return broken end
local state = redis.call('HGET', sync, 'state')
if not state then return { 'gone' } end
if state ~= 'queued' and state ~= 'fetching' and state ~= 'finalizing' then return { 'ended', state } end
finish(sync, id, queue, due, 'cancelled', retention_ms, now_ms())
return { 'ok' }

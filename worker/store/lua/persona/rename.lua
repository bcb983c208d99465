-- Moves a persona to another reference. Answers: ok | changed | exists | doubt | busy, sync id
-- KEYS: personas, claim on the new reference, active    ARGV: old reference, new reference, record before, after,
-- account
local personas, claim, active = unpack(KEYS)
local old, new, before, after, account = unpack(ARGV)

local broken = types(personas, 'hash', claim, 'hash', active, 'zset')
if broken then return broken end
local running = busy(active, account)
if running then return { 'busy', running } end
local found, there = redis.call('HGET', personas, old), redis.call('HGET', personas, new)
if not found and there == after then return { 'ok' } end
if there and (there ~= after or old == new) then return { 'exists' } end
if found ~= before then return { 'changed' } end
if redis.call('EXISTS', claim) == 1 then return { 'doubt' } end
redis.call('HSET', personas, new, after)
redis.call('HDEL', personas, old)
return { 'ok' }

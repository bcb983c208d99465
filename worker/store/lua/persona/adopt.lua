-- Records the persona that somebody names for a cluster, and ends the claim on it, if a purchase of it was in doubt.
-- Answers: ok | exists | busy, sync id
-- KEYS: personas, claim, active    ARGV: reference, record, account
local personas, claim, active = unpack(KEYS)
local reference, record, account = unpack(ARGV)

local broken = types(personas, 'hash', claim, 'hash', active, 'zset')
if broken then return broken end
local running = busy(active, account)
if running then return { 'busy', running } end
local found = redis.call('HGET', personas, reference)
if found and found ~= record then return { 'exists' } end
redis.call('HSET', personas, reference, record)
redis.call('DEL', claim)
return { 'ok' }

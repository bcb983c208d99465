-- Keeps the early look-up of personas with the sync. Answers: ok | stale, state, epoch
-- KEYS: sync    ARGV: state, epoch, holder, look-up
local sync = KEYS[1]
local state, epoch, holder, lookup = unpack(ARGV)

local broken = types(sync, 'hash')
if broken then return broken end
local refused = stale(sync, state, epoch, holder)
if refused then return refused end
redis.call('HSET', sync, 'lookup', lookup)
return { 'ok' }

-- Keeps with the sync what a job found and a later one needs: the look-up of personas, or a plan that is not whole yet.
-- Answers: ok | stale, state, epoch
-- KEYS: sync    ARGV: state, epoch, holder, field (lookup, plan, account), text
local sync = KEYS[1]
local state, epoch, holder, field, text = unpack(ARGV)

local broken = types(sync, 'hash')
if broken then return broken end
local refused = stale(sync, state, epoch, holder)
if refused then return refused end
redis.call('HSET', sync, field, text)
return { 'ok' }

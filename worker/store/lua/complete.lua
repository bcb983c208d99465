-- Every cluster has its persona or its reason, or a preview its plan: the sync is completed.
-- Answers: ok | applied | stale, state, epoch
-- KEYS: sync, queue, due    ARGV: id, epoch, holder, token, retention ms, plan ('': it stays as it is)
local sync, queue, due = unpack(KEYS)
local id, epoch, holder, token, retention_ms, plan = unpack(ARGV)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset')
if broken then return broken end
if redis.call('HGET', sync, 'token') == token then return { 'applied' } end
local refused = stale(sync, 'finalizing', epoch, holder)
if refused then return refused end
if plan == '' then plan = redis.call('HGET', sync, 'plan') or '' end
finish(sync, id, queue, due, 'completed', retention_ms, now_ms(), 'token', token, 'plan', plan)
return { 'ok' }

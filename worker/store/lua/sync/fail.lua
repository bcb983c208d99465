-- A job gives up: the sync failed, with its reason. Answers: ok | applied | stale, state, epoch
-- KEYS: sync, queue, due    ARGV: id, state, epoch, holder, token, code, message, resumable, retention ms
local sync, queue, due = unpack(KEYS)
local id, state, epoch, holder, token, code, message, resumable, retention_ms = unpack(ARGV)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset')
if broken then return broken end
if redis.call('HGET', sync, 'token') == token then return { 'applied' } end
local refused = stale(sync, state, epoch, holder)
if refused then return refused end
finish(sync, id, queue, due, 'failed', retention_ms, now_ms(), 'token', token, 'error_code', code,
  'error_message', message, 'error_resumable', resumable, 'failed_in', state)
return { 'ok' }

-- A batch cannot be read: the sync failed, with its reason. Answers: ok | stale, state, epoch (also if it arrives twice)
-- KEYS: sync, queue, due    ARGV: id, slot, number, attempt, holder, code, message, resumable, retention ms
local sync, queue, due = unpack(KEYS)
local id, slot, number, attempt, holder, code, message, resumable, retention_ms = unpack(ARGV)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset')
if broken then return broken end
local batch, at = own_batch(sync, slot, number, attempt, holder)
if not batch then return at end
finish(sync, id, queue, due, 'failed', retention_ms, now_ms(), 'error_code', code, 'error_message', message,
  'error_resumable', resumable, 'failed_in', 'fetching')
return { 'ok' }

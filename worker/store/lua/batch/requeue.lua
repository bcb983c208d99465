-- A job gives its batch to the next try, now or after a delay. Answers: ok | stale, state, epoch (also if it arrives twice)
-- KEYS: sync, queue, due, wake
-- ARGV: id, slot, number, attempt, holder, trouble ms, note, stall ms, delay ms, job id, job
local sync, queue, due, wake = unpack(KEYS)
local id, slot, number, attempt, holder, trouble_ms, note, stall_ms, delay_ms, job_id, job = unpack(ARGV)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset', wake, 'list')
if broken then return broken end
local batch, at = own_batch(sync, slot, number, attempt, holder)
if not batch then return at end

local now = now_ms()
local old = batch_job(id, slot, batch)
batch.attempt, batch.holder, batch.trouble_ms = int(attempt + 1), '-', trouble_ms
set_slot(sync, slot, batch, at, 'note', note)
set_job(queue, wake, old, job_id, job, tonumber(delay_ms), now)
redis.call('ZADD', due, int(now + stall_ms + delay_ms), batch_due(id, slot))
return { 'ok' }

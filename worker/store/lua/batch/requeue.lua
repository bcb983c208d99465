-- A job hands its batch to the next attempt, which starts now or after a delay.
-- Answers: ok | stale, state, epoch (also if it arrives twice)
local batch, at = own_batch(sync, key, holder)
if not batch then return at end
local now = now_ms()
local old = batch_job(key.sync_id, key.slot, batch)
batch.attempt, batch.holder, batch.trouble_ms = key.attempt + 1, '-', trouble_ms
set_slot(sync, key.slot, batch, at, 'note', note)
set_job(queue, wake, old, job, delay_ms, now)
watch(due, batch_due(key.sync_id, key.slot), now, stall_ms + delay_ms)
return { 'ok' }

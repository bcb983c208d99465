-- A job of a batch is alive; an empty note leaves the note of the sync unchanged. Answers: ok | stale, state, epoch
local batch, at = own_batch(sync, key, holder)
if not batch then return at end
if note ~= '' then redis.call('HSET', sync, 'note', note) end
watch(due, batch_due(key.sync_id, key.slot), now_ms(), stall_ms)
return { 'ok' }

-- A job fails the sync of its batch. Answers: ok | stale, state, epoch (also if it arrives twice)
local batch, at = own_batch(sync, key, holder)
if not batch then return at end
fail_sync(sync, key.sync_id, queue, due, 'fetching', failure, retention_ms)
return { 'ok' }

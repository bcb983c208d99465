-- A job fails its sync. Answers: ok | applied | stale, state, epoch
local refused = refuse_write(sync, lease.state, lease, token)
if refused then return refused end
fail_sync(sync, lease.sync_id, queue, due, lease.state, failure, retention_ms, 'token', token)
return { 'ok' }

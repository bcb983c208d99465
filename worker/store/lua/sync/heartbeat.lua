-- A job of a sync is alive. Answers: ok | stale, state, epoch
local refused = stale(sync, lease.state, lease)
if refused then return refused end
redis.call('HSET', sync, 'note', note)
watch(due, lease.sync_id, now_ms(), silent_ms)
return { 'ok' }

-- Keeps a text of a job with the sync, for a later job. Answers: ok | stale, state, epoch
local refused = stale(sync, lease.state, lease)
if refused then return refused end
redis.call('HSET', sync, field, text)
return { 'ok' }

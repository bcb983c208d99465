-- Records a persona that a user names for a cluster, and ends a claim on it, so that its purchase is no longer in doubt.
-- Answers: ok | exists | busy, sync id
local running = running_sync(active, account)
if running then return { 'busy', running } end
local found = redis.call('HGET', personas, reference)
if found and found ~= record then return { 'exists' } end
redis.call('HSET', personas, reference, record)
redis.call('DEL', claim)
return { 'ok' }

-- Moves a persona from the reference `old` to `new`; claim: on `new`. Answers: ok | changed | exists | doubt | busy, sync id
local running = running_sync(active, account)
if running then return { 'busy', running } end
local found, there = redis.call('HGET', personas, old), redis.call('HGET', personas, new)
if not found and there == after then return { 'ok' } end
if there and (there ~= after or old == new) then return { 'exists' } end
if found ~= before then return { 'changed' } end
if redis.call('EXISTS', claim) == 1 then return { 'doubt' } end
redis.call('HSET', personas, new, after)
redis.call('HDEL', personas, old)
return { 'ok' }

-- Cancels a running sync. Answers: ok | ended, state | gone
local state = redis.call('HGET', sync, 'state')
if not state then return { 'gone' } end
if not is_running(state) then return { 'ended', state } end
finish(sync, id, queue, due, 'cancelled', retention_ms, now_ms())
return { 'ok' }

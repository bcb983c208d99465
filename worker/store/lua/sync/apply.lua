-- A completed preview continues to its personas, with the request that asks for it.
-- Answers: ok | busy, id (another sync of the same identity runs) | changed (another call moved it meanwhile) | gone
local found = redis.call('HMGET', sync, 'state', 'epoch', 'asked')
if not found[1] then return { 'gone' } end
if found[1] ~= 'completed' or tonumber(found[2]) ~= epoch then return { 'changed' } end
local running = running_sync(active, account, request)
if running then return { 'busy', running } end

local now = now_ms()
local changes = { 'state', 'finalizing', 'epoch', int(epoch + 1), 'holder', '', 'job', job.job_id, 'request', request,
  'accepted', accept and '1' or '', 'revivals', '0', 'trouble_ms', '0', 'lookup', '', 'note', '', 'finished_at', '',
  'applied_at', int(now) }
start_sync({ sync = sync, queue = queue, due = due, wake = wake, active = active }, id, changes, job, stall_ms, now)
persist(sync, outcomes, found[3])
return { 'ok' }

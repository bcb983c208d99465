-- A failed sync continues in the state in which it failed, a fan-out with all its batches (`attempts`: the job of each
-- batch's next attempt); with `restart`, fetching begins again with empty statistics.
-- Answers: ok | busy, id (another sync of the same identity runs) | changed (another call moved it meanwhile) | gone
local found = redis.call('HMGET', sync, 'state', 'epoch', 'failed_in', 'request', 'asked', 'applied_at', 'batches',
  'listed')
if not found[1] then return { 'gone' } end
if found[1] ~= 'failed' or tonumber(found[2]) ~= epoch then return { 'changed' } end
local running = running_sync(active, account, found[4])
if running then return { 'busy', running } end

local now = now_ms()
local state = restart and 'fetching' or found[3]
local taken, free = {}, SLOTS
if found[7] then taken, free = outstanding(sync) end
local parks = not restart and state == 'fetching' and what_follows(found[8], free) == 'park'
local changes = { 'state', state, 'epoch', int(epoch + 1), 'holder', '', 'job', parks and '' or job.job_id,
  'revivals', '0', 'request', request, 'trouble_ms', '0', 'lookup', '', 'note', '', 'finished_at', '', 'error_code', '',
  'error_message', '', 'error_resumable', '', 'error_hint', '', 'error_needed_credits', '', 'error_credit_limit', '',
  'failed_in', '' }
if restart then
  append(changes, 'cursor', '', 'guard', '', 'pages', '0', 'profiles', '0', 'complete', '0', 'aggregate', '',
    'started_at', int(now), 'fetched_at', '', 'applied_at', '')
end
if found[7] then
  append(changes, 'parked', parks and '1' or '')
  -- The number of issued batches continues, so that an old job of a batch never matches a new one.
  if restart then append(changes, 'listed', '', 'pages_listed', '0', 'profiles_listed', '0', 'counted', '') end
end
if restart or accept then append(changes, 'accepted', accept and '1' or '') end
-- A plan from other statistics, or from before the interruption, does not hold any more; one that was applied does.
if restart or (found[6] or '') == '' then append(changes, 'plan', '') end
for slot, batch in pairs(taken) do
  if restart then
    append(changes, 'slot:' .. slot, '')
  else
    batch.attempt, batch.lost, batch.holder, batch.trouble_ms = batch.attempt + 1, 0, '-', 0
    append(changes, 'slot:' .. slot, batch_text(batch))
    watch(due, batch_due(id, slot), now, stall_ms)
  end
end
local at = { sync = sync, queue = queue, due = due, wake = wake, active = active }
start_sync(at, id, changes, not parks and job or nil, stall_ms, now, restart and outcomes or nil)
for _, attempt in ipairs(attempts) do set_job(queue, wake, nil, attempt, 0, now) end
persist(sync, outcomes, found[5])
return { 'ok' }

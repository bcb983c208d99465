-- A failed sync goes on in the state that it failed in, in fan-out with all its batches; with restart, its fetching begins
-- anew with fresh sums.
-- Answers: ok | busy, id (another sync of the same space runs) | changed (someone else moved it meanwhile) | gone
-- KEYS: sync, queue, due, wake, outcomes, active
-- ARGV: id, epoch, restart, stall ms, job id, job, request, accepted ('': as before, but not after a restart), account of
--       the sync, (job id, job), ... of every outstanding batch's next try
local sync, queue, due, wake, outcomes, active = unpack(KEYS)
local id, epoch, restart, stall_ms, job_id, job, request, accepted, account = unpack(ARGV, 1, 9)
local FIRST_BATCH, BATCH_PARTS = 10, 2

local broken = types(sync, 'hash', queue, 'zset', due, 'zset', wake, 'list', outcomes, 'hash', active, 'zset')
if broken then return broken end
local found = redis.call('HMGET', sync, 'state', 'epoch', 'failed_in', 'request', 'asked', 'applied_at', 'batches',
  'listed')
if not found[1] then return { 'gone' } end
if found[1] ~= 'failed' or found[2] ~= epoch then return { 'changed' } end
local running = under_way(active, found[4], account)
if running then return { 'busy', running } end

local now = now_ms()
local state = restart == '1' and 'fetching' or found[3]
local taken, free = {}, SLOTS
if found[7] then taken, free = outstanding(sync) end
local parks = restart ~= '1' and state == 'fetching' and what_follows(found[8], free) == 'park'
local changes = { 'state', state, 'epoch', int(epoch + 1), 'holder', '', 'job', parks and '' or job_id, 'revivals', '0',
  'request', request, 'trouble_ms', '0', 'lookup', '', 'note', '', 'finished_at', '', 'error_code', '',
  'error_message', '', 'error_resumable', '', 'failed_in', '' }
local function change(...)
  for _, part in ipairs({ ... }) do changes[#changes + 1] = part end
end
if restart == '1' then
  change('cursor', '', 'guard', '', 'pages', '0', 'profiles', '0', 'complete', '0', 'aggregate', '',
    'started_at', int(now), 'fetched_at', '', 'applied_at', '')
end
if found[7] then
  change('parked', parks and '1' or '')
  -- The number of batches issued goes on: an old job of one of them must not pass for a new one's.
  if restart == '1' then change('listed', '', 'pages_listed', '0', 'profiles_listed', '0', 'counted', '') end
end
if restart == '1' or accepted ~= '' then change('accepted', accepted) end
if restart == '1' or (found[6] or '') == '' then
  -- What was planned for other statistics, or before the interruption, says nothing of now.
  change('plan', '')
end
redis.call('ZADD', due, int(now + stall_ms), id)
for slot, batch in pairs(taken) do
  if restart == '1' then
    change('slot:' .. slot, '')
  else
    batch.attempt, batch.lost, batch.holder, batch.trouble_ms = int(batch.attempt + 1), '0', '-', '0'
    change('slot:' .. slot, batch_text(batch))
    redis.call('ZADD', due, int(now + stall_ms), batch_due(id, slot))
  end
end
redis.call('HSET', sync, unpack(changes))
if restart == '1' then redis.call('DEL', outcomes) end
if not parks then set_job(queue, wake, nil, job_id, job, 0, now) end
for i = FIRST_BATCH, #ARGV, BATCH_PARTS do set_job(queue, wake, nil, ARGV[i], ARGV[i + 1], 0, now) end
redis.call('ZADD', active, int(now), id)
persist(sync, outcomes, found[5])
return { 'ok' }

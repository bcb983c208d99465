-- A failed sync goes on in the state that it failed in; with restart, its fetching begins anew with fresh sums.
-- Answers: ok | busy, id (another sync of the same space runs) | changed (someone else moved it meanwhile) | gone
-- KEYS: sync, queue, due, wake, outcomes, active
-- ARGV: id, epoch, restart, stall ms, job id, job, request
local sync, queue, due, wake, outcomes, active = unpack(KEYS)
local id, epoch, restart, stall_ms, job_id, job, request = unpack(ARGV)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset', wake, 'list', outcomes, 'hash', active, 'zset')
if broken then return broken end
local found = redis.call('HMGET', sync, 'state', 'epoch', 'failed_in', 'request', 'asked', 'applied_at')
if not found[1] then return { 'gone' } end
if found[1] ~= 'failed' or found[2] ~= epoch then return { 'changed' } end
local running = under_way(active, found[4])
if running then return { 'busy', running } end

local now = now_ms()
local changes = { 'state', found[3], 'epoch', int(epoch + 1), 'holder', '', 'job', job_id, 'revivals', '0',
  'request', request, 'trouble_ms', '0', 'lookup', '', 'note', '', 'finished_at', '', 'error_code', '',
  'error_message', '', 'error_resumable', '', 'failed_in', '' }
if restart == '1' then
  changes[2] = 'fetching'
  for _, part in ipairs({ 'cursor', '', 'guard', '', 'pages', '0', 'profiles', '0', 'complete', '0', 'aggregate', '',
    'started_at', int(now), 'fetched_at', '', 'applied_at', '' }) do
    changes[#changes + 1] = part
  end
end
if restart == '1' or (found[6] or '') == '' then
  -- What was planned for other statistics, or before the interruption, says nothing of now.
  changes[#changes + 1] = 'plan'
  changes[#changes + 1] = ''
end
redis.call('ZADD', due, int(now + stall_ms), id)
redis.call('HSET', sync, unpack(changes))
if restart == '1' then redis.call('DEL', outcomes) end
set_job(queue, wake, nil, job_id, job, 0, now)
redis.call('ZADD', active, int(now), id)
for _, key in ipairs({ sync, outcomes, found[5] or '' }) do redis.call('PERSIST', key) end
return { 'ok' }

-- Gives a silent sync its next job in the queue of its account, or fails it with `failure` after `max_revivals` without
-- progress. From the second revival on the job waits for `spread_ms`, so that the syncs of a dead worker do not start again
-- together. Answers: revived | waiting (its job is in the queue, or its batches are read) | failed | early | changed | gone
local found = redis.call('HMGET', sync, 'state', 'epoch', 'holder', 'job', 'revivals', 'finished_at', 'parked', 'owner',
  'job_account')
local account = job_account(found[8], found[9])
local queue, wake = queue_of(account), wake_of(account)
broken = types(queue, 'zset', wake, 'list')
if broken then return broken end
local now = now_ms()
if not found[1] then
  redis.call('ZREM', due, id)
  return { 'gone' }
end
if found[1] == 'completed' or found[1] == 'failed' or found[1] == 'cancelled' then
  -- An ended sync that is still watched: the script that ended it was cut short.
  if redis.call('ZSCORE', due, id) then finish(sync, id, queue, due, found[1], retention_ms, found[6]) end
  return { 'gone' }
end
if found[1] ~= state or tonumber(found[2]) ~= epoch then return { 'changed' } end
if is_newer(id) then return { 'waiting' } end
if is_early(due, id, now) then return { 'early' } end
local parked = found[7] == '1'
if parked then
  -- A fetch job follows only when a batch has made room; each batch is watched by itself.
  for slot in pairs((outstanding(sync))) do redis.call('ZADD', due, 'NX', int(now), batch_due(id, slot)) end
end
if parked or (found[3] == '' and found[4] ~= '' and waits(queue, found[4])) then
  watch(due, id, now, stall_ms)
  return { 'waiting' }
end
if found[5] + 1 > max_revivals then
  fail_sync(sync, id, queue, due, state, failure, retention_ms)
  return { 'failed' }
end
redis.call('HSET', sync, 'state', state, 'epoch', int(epoch + 1), 'holder', '', 'job', job.job_id,
  'revivals', int(found[5] + 1))
local delay_ms = tonumber(found[5]) >= 1 and spread_ms or 0
set_job(queue, wake, found[4], job, delay_ms, now)
watch(due, id, now, stall_ms + delay_ms)
return { 'revived' }

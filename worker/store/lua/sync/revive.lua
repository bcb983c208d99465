-- The watcher's look at one sync that fell silent. Answers:
-- revived, number | waiting (its job stands in the queue, or its batches are read) | failed | early | changed | gone
-- KEYS: sync, queue, due, wake
-- ARGV: id, state, epoch, stall ms, most revivals, job id, job, error message, retention ms
-- The job goes into the queue of the sync's account, whoever looks.
local sync, _, due = unpack(KEYS)
local id, state, epoch, stall_ms, most, job_id, job, message, retention_ms = unpack(ARGV)

local broken = types(sync, 'hash', due, 'zset')
if broken then return broken end
local found = redis.call('HMGET', sync, 'state', 'epoch', 'holder', 'job', 'revivals', 'finished_at', 'parked', 'owner')
local queue, wake = queue_of(found[8] or ''), wake_of(found[8] or '')
broken = types(queue, 'zset', wake, 'list')
if broken then return broken end
local now = now_ms()
if not found[1] then
  redis.call('ZREM', due, id)
  return { 'gone' }
end
if found[1] == 'completed' or found[1] == 'failed' or found[1] == 'cancelled' then
  -- It has ended; if it is still watched, its end was cut short.
  if redis.call('ZSCORE', due, id) then finish(sync, id, queue, due, found[1], retention_ms, found[6]) end
  return { 'gone' }
end
if found[1] ~= state or found[2] ~= epoch then return { 'changed' } end
local due_ms = redis.call('ZSCORE', due, id)
if due_ms and tonumber(due_ms) > now then return { 'early' } end

if found[7] == '1' then
  -- No walk is due before a batch has made room; each of them is watched by itself.
  for slot in pairs((outstanding(sync))) do redis.call('ZADD', due, 'NX', int(now), batch_due(id, slot)) end
  redis.call('ZADD', due, int(now + stall_ms), id)
  return { 'waiting' }
end
local current = found[4]
if found[3] == '' and current ~= '' and waits(queue, current) then
  redis.call('ZADD', due, int(now + stall_ms), id)
  return { 'waiting' }
end

local revivals = found[5] + 1
if revivals > tonumber(most) then
  finish(sync, id, queue, due, 'failed', retention_ms, now, 'error_code', 'worker_lost', 'error_message', message,
    'error_resumable', '1', 'failed_in', state)
  return { 'failed' }
end
redis.call('HSET', sync, 'state', state, 'epoch', int(epoch + 1), 'holder', '', 'job', job_id,
  'revivals', int(revivals))
set_job(queue, wake, current, job_id, job, 0, now)
redis.call('ZADD', due, int(now + stall_ms), id)
return { 'revived', revivals }

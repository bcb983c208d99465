-- The watcher's look at one batch that fell silent. Answers:
-- revived, lost tries | waiting (its job stands in the queue) | failed | early | changed | gone
-- KEYS: sync, queue, due, wake
-- ARGV: id, slot, number, attempt, stall ms, most lost tries, job id, job, error message, retention ms
-- The job goes into the queue of the sync's account, whoever looks.
local sync, _, due = unpack(KEYS)
local id, slot, number, attempt, stall_ms, most, job_id, job, message, retention_ms = unpack(ARGV)

local broken = types(sync, 'hash', due, 'zset')
if broken then return broken end
local account = redis.call('HGET', sync, 'owner') or ''
local queue, wake = queue_of(account), wake_of(account)
broken = types(queue, 'zset', wake, 'list')
if broken then return broken end
local member = batch_due(id, slot)
local found = redis.call('HMGET', sync, 'state', 'slot:' .. slot)
if found[1] ~= 'fetching' or not parse_batch(found[2]) then
  -- Counted, or its sync has ended; if it is still watched, that was cut short.
  redis.call('ZREM', due, member)
  return { 'gone' }
end
local batch, at = own_batch(sync, slot, number, attempt, nil)
if not batch then return { 'changed' } end
local now = now_ms()
local due_ms = redis.call('ZSCORE', due, member)
if due_ms and tonumber(due_ms) > now then return { 'early' } end
local current = batch_job(id, slot, batch)
if batch.holder == '-' and waits(queue, current) then
  redis.call('ZADD', due, int(now + stall_ms), member)
  return { 'waiting' }
end

local lost = batch.lost + 1
if lost > tonumber(most) then
  finish(sync, id, queue, due, 'failed', retention_ms, now, 'error_code', 'worker_lost', 'error_message', message,
    'error_resumable', '1', 'failed_in', 'fetching')
  return { 'failed' }
end
batch.attempt, batch.lost, batch.holder = int(attempt + 1), int(lost), '-'
set_slot(sync, slot, batch, at)
set_job(queue, wake, current, job_id, job, 0, now)
redis.call('ZADD', due, int(now + stall_ms), member)
return { 'revived', lost }

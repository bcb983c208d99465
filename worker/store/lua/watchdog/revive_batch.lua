-- Gives a silent batch its next attempt in the queue of its account, or fails its sync with `failure` after `max_lost` lost
-- attempts. From the second revival on the job waits for `spread_ms`, see revive_sync.lua. Answers: revived | waiting (its job is in the queue) | failed | early | changed | gone
local id, member = key.sync_id, batch_due(key.sync_id, key.slot)
local account = redis.call('HGET', sync, 'owner') or ''
local queue, wake = queue_of(account), wake_of(account)
broken = types(queue, 'zset', wake, 'list')
if broken then return broken end
local found = redis.call('HMGET', sync, 'state', 'slot:' .. int(key.slot))
if found[1] ~= 'fetching' or not parse_batch(found[2]) then
  -- The batch is counted, or its sync has ended; if it is still watched, that script was cut short.
  redis.call('ZREM', due, member)
  return { 'gone' }
end
local batch, at = own_batch(sync, key, nil)
if not batch then return { 'changed' } end
local now = now_ms()
if is_newer(id) then return { 'waiting' } end
if is_early(due, member, now) then return { 'early' } end
local current = batch_job(id, key.slot, batch)
if batch.holder == '-' and waits(queue, current) then
  watch(due, member, now, stall_ms)
  return { 'waiting' }
end
if batch.lost + 1 > max_lost then
  fail_sync(sync, id, queue, due, 'fetching', failure, retention_ms)
  return { 'failed' }
end
local delay_ms = batch.lost >= 1 and spread_ms or 0
batch.attempt, batch.lost, batch.holder = key.attempt + 1, batch.lost + 1, '-'
set_slot(sync, key.slot, batch, at)
set_job(queue, wake, current, job, delay_ms, now)
watch(due, member, now, stall_ms + delay_ms)
return { 'revived' }

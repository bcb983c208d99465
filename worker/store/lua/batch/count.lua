-- Counts the pages of a batch: its slot is freed in the write that stores the statistics with its pages, so nothing can count
-- them again. base: the statistics to which the caller added the pages; counted: the sum. If no fetch job lists pages, the
-- batch that makes room for one, or is the last, enqueues what follows (`following`, of the epoch after that of `base`).
-- Answers: ok | behind, (epoch, token, pages, profiles, statistics) (another batch was first: add to these)
--          | stale, state, epoch
local batch, at = own_batch(sync, key, holder)
if not batch then return at end
local before = redis.call('HMGET', sync, 'counted', 'pages', 'profiles', 'aggregate', 'parked', 'listed', 'job')
local follows = 'stay'
if before[5] == '1' then
  local _, free = outstanding(sync)
  follows = what_follows(before[6], free + 1)
end
local job = following[follows]
local now = now_ms()
if (before[1] or '') ~= base_token or (job and tonumber(at.epoch) ~= base_epoch) then
  watch(due, batch_due(key.sync_id, key.slot), now, stall_ms) -- its job sends no heartbeats while it tries again
  return { 'behind', { at.epoch, before[1] or '', before[2], before[3], before[4] } }
end

-- A token, not a number, identifies these statistics: numbers repeat if Redis loses its last moments.
local changes = { 'counted', counted.token, 'pages', int(counted.pages), 'profiles', int(counted.profiles),
  'aggregate', counted.aggregate, 'note', '' }
if job then
  if follows == 'finalize' then
    at.state = 'finalizing'
    append(changes, 'fetched_at', int(now), 'revivals', '0')
  end
  at.epoch, at.holder = int(base_epoch + 1), ''
  append(changes, 'job', job.job_id, 'parked', '')
end
set_slot(sync, key.slot, nil, at, unpack(changes))
if follows == 'finalize' then redis.call('DEL', outcomes) end
if job then
  set_job(queue, wake, before[7], job, 0, now)
  watch(due, key.sync_id, now, stall_ms)
end
drop_job(queue, batch_job(key.sync_id, key.slot, batch))
redis.call('ZREM', due, batch_due(key.sync_id, key.slot))
return { 'ok' }

-- The pages of a batch are counted: its slot is freed together with the statistics that hold them, and nothing else can
-- count them again. If no walk is at work, the batch that makes room for one, or is the last, sees to what follows.
-- Answers: ok | behind, epoch, counted, pages, profiles, statistics (of whoever came first: merge again)
--          | stale, state, epoch
-- KEYS: sync, queue, due, wake, outcomes
-- ARGV: id, slot, number, attempt, holder, epoch, counted, token, pages, profiles, statistics, stall ms,
--       walk's job id, job, finalizer's job id, job (both of epoch + 1)
local sync, queue, due, wake, outcomes = unpack(KEYS)
local id, slot, number, attempt, holder, epoch, counted, token, pages, profiles, statistics = unpack(ARGV, 1, 11)
local stall_ms, walk_id, walk, finalize_id, finalize = unpack(ARGV, 12, 16)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset', wake, 'list', outcomes, 'hash')
if broken then return broken end
local batch, at = own_batch(sync, slot, number, attempt, holder)
if not batch then return at end
local before = redis.call('HMGET', sync, 'counted', 'pages', 'profiles', 'aggregate', 'parked', 'listed', 'job')
local follows = 'stay'
if before[5] == '1' then
  local _, free = outstanding(sync)
  follows = what_follows(before[6], free + 1)
end
local moves = follows == 'walk' or follows == 'finalize'
if (before[1] or '') ~= counted or (moves and at.epoch ~= epoch) then
  return { 'behind', at.epoch, before[1] or '', before[2], before[3], before[4] }
end

-- A token, not a number, tells these statistics from all others: numbers come again if Redis loses its last moments.
local now = now_ms()
local changes = { 'counted', token, 'pages', pages, 'profiles', profiles, 'aggregate', statistics, 'note', '' }
local function change(...)
  for _, part in ipairs({ ... }) do changes[#changes + 1] = part end
end
local job_id, job
if moves then
  job_id, job = walk_id, walk
  if follows == 'finalize' then
    job_id, job = finalize_id, finalize
    at.state = 'finalizing'
    change('fetched_at', int(now), 'revivals', '0')
  end
  at.epoch, at.holder = int(epoch + 1), ''
  change('job', job_id, 'parked', '')
end
set_slot(sync, slot, nil, at, unpack(changes))
if follows == 'finalize' then redis.call('DEL', outcomes) end
if moves then
  set_job(queue, wake, before[7], job_id, job, 0, now)
  redis.call('ZADD', due, int(now + stall_ms), id)
end
drop_job(queue, batch_job(id, slot, batch))
redis.call('ZREM', due, batch_due(id, slot))
return { 'ok' }

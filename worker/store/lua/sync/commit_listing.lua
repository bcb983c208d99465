-- A fan-out walk's checkpoint: where the listing stands, and the batches up to there with a job each. With `leave`, what
-- follows: the next walk, nothing yet, or the finalizer if there was nothing left to read.
-- Answers: ok, free slot, ... | applied, free slot, ... (this very commit had arrived before) | stale, state, epoch
-- KEYS: sync, queue, due, wake, outcomes
-- ARGV: id, epoch, holder, seq, token, move (stay, leave), cursor, guard, pages listed, profiles listed, listed, complete,
--       trouble ms, note, stall ms, delay ms, walk's job id, job, finalizer's job id, job, batches issued,
--       (slot, number, work, job id, job), ...
local sync, queue, due, wake, outcomes = unpack(KEYS)
local id, epoch, holder, seq, token, move, cursor, guard, pages, profiles, listed, complete = unpack(ARGV, 1, 12)
local trouble_ms, note, stall_ms, delay_ms, walk_id, walk, finalize_id, finalize, batches = unpack(ARGV, 13, 21)
local FIRST_BATCH, BATCH_PARTS = 22, 5

local broken = types(sync, 'hash', queue, 'zset', due, 'zset', wake, 'list', outcomes, 'hash')
if broken then return broken end
local taken, free = outstanding(sync)
local answer = { 'ok' }
if redis.call('HGET', sync, 'token') == token then
  answer[1] = 'applied'
else
  local refused = stale(sync, 'fetching', epoch, holder)
  if refused then return refused end
  local before = redis.call('HMGET', sync, 'seq', 'pages_listed', 'revivals', 'job')
  if before[1] ~= seq then return { 'stale', 'fetching', epoch } end
  local filled = {}
  for i = FIRST_BATCH, #ARGV, BATCH_PARTS do
    local slot = tonumber(ARGV[i])
    -- Only this walk fills slots, so a slot that was free is; but nothing may be written over.
    if taken[slot] then return { 'stale', 'fetching', epoch } end
    taken[slot] = { number = ARGV[i + 1], attempt = '1', lost = '0', holder = '-', trouble_ms = '0', work = ARGV[i + 2] }
    filled[#filled + 1] = { slot = slot, job_id = ARGV[i + 3], job = ARGV[i + 4] }
    free = free - 1
  end

  local now = now_ms()
  local follows = move == 'leave' and what_follows(listed, free) or 'stay'
  local revivals = before[3]
  if tonumber(pages) > tonumber(before[2] or '0') or follows == 'finalize' then revivals = '0' end
  local state, next_epoch, next_holder, next_job, fetched_at = 'fetching', epoch, holder, before[4], ''
  if follows ~= 'stay' then next_epoch, next_holder, next_job = int(epoch + 1), '', '' end
  if follows == 'walk' then next_job = walk_id end
  if follows == 'finalize' then state, next_job, fetched_at = 'finalizing', finalize_id, int(now) end
  local changes = { 'state', state, 'epoch', next_epoch, 'holder', next_holder, 'job', next_job, 'seq', int(seq + 1),
    'token', token, 'cursor', cursor, 'guard', guard, 'pages_listed', pages, 'profiles_listed', profiles,
    'listed', listed, 'parked', follows == 'park' and '1' or '', 'complete', complete, 'batches', batches,
    'revivals', revivals, 'trouble_ms', trouble_ms, 'note', note, 'fetched_at', fetched_at }
  for _, one in ipairs(filled) do
    changes[#changes + 1] = 'slot:' .. one.slot
    changes[#changes + 1] = batch_text(taken[one.slot])
    redis.call('ZADD', due, int(now + stall_ms), batch_due(id, one.slot))
  end
  redis.call('HSET', sync, unpack(changes))
  for _, one in ipairs(filled) do set_job(queue, wake, nil, one.job_id, one.job, 0, now) end
  if follows == 'finalize' then redis.call('DEL', outcomes) end
  if follows == 'walk' then set_job(queue, wake, before[4], walk_id, walk, tonumber(delay_ms), now) end
  if follows == 'finalize' then set_job(queue, wake, before[4], finalize_id, finalize, 0, now) end
  if follows == 'park' then drop_job(queue, before[4]) end
  redis.call('ZADD', due, int(now + stall_ms + (follows == 'walk' and delay_ms or 0)), id)
end
for slot = 0, SLOTS - 1 do
  if not taken[slot] then answer[#answer + 1] = slot end
end
return answer

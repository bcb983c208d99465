-- Takes up to `most` jobs that may start, and marks each as in progress for `in_progress_ms`. The mark names the `token` of the
-- call and the job's place in the queue, see give_back_lost.lua. Entries that are not jobs are dropped, and a queue of another
-- type is deleted. A job of the common queue moves to the account's own queue, and its sync belongs to that account from then
-- on; a job whose sync belongs to another account moves to that account's queue.
-- A worker of one account has one queue and the common one, and takes the job that is due longest. With `in_turn`, a worker
-- of several accounts takes from the first of its queues that has one due.
-- A taken job is due again only when its mark has ended, so the head of the queue holds what may start, and a look costs
-- what it takes. Its sync or batch is not silent before `stall_ms` from now: however long the job has waited, the watchdog
-- must not take it for lost before it has begun. Jobs of syncs that only newer workers read stay where they are; if there are
-- many, some are put off by a second, so that a look stays short. common: the common queue, or the first of `queues`: the
-- worker takes nothing from it.
--
-- A suspect is a job of a sync (or an attempt at a batch) that was lost `suspect_after` times without progress: it may be what
-- kills the workers, so it runs alone until it makes progress, and no neighbour is lost with it. A suspect at the head of the
-- queue waits for a worker that runs nothing; the others take nothing meanwhile, so that one of them soon runs nothing. Both
-- end after ALONE_MS, so that a job that takes long does not stop the rest. running: the number of jobs that the worker runs;
-- only: the id of its job if it runs one.
-- A worker inside a command takes only jobs of its own syncs: `own_syncs` are their ids between spaces ('' for all). Others
-- leave a sync that reads standard input or another file of one process (`skips_pipes`) to that process.
-- Answers: ok, ms until the next job may start (-1: none soon), whether a suspect keeps the worker from taking a job,
-- ((id, score, job, number of its queue from 1), ...), ((dropped id, reason), ...)
local LOOK_AHEAD_MS, MOST_STEPS, MOST_PASSED, ALONE_MS = 60000, 500, 100, 60000
local now = now_ms()
local taken, dropped = {}, {}
local number_of, looked_at = {}, {} -- number_of: own queue -> its number; looked_at: those and the common one
for number, own in ipairs(queues) do
  number_of[own] = number_of[own] or number
  append(looked_at, own)
end
if not number_of[common] then append(looked_at, common) end

local function drop(from, id, reason)
  redis.call('ZREM', from, id)
  append(dropped, { id, reason })
end

-- The sync that a job of ours belongs to; nil if it is not a job of ours.
local function sync_of(id)
  return string.match(id, '^(.+):walk:%d+$') or string.match(id, '^(.+):finalize:%d+$')
    or string.match(id, '^(.+):batch:%d+:%d+:%d+$')
end

-- Whether this worker works on a sync.
local function is_served(sync_id)
  if own_syncs ~= '' then return string.find(own_syncs, ' ' .. sync_id .. ' ', 1, true) ~= nil end
  if not skips_pipes or redis.call('TYPE', SYNC .. sync_id).ok ~= 'hash' then return true end
  local file = string.match(redis.call('HGET', SYNC .. sync_id, 'request') or '', '"file":"([^"]*)"') or ''
  return file ~= '-' and string.sub(file, 1, 5) ~= '/dev/' and string.sub(file, 1, 6) ~= '/proc/'
end

-- Moves a job of the common queue to the queue of its account; returns whether that is ours.
local function hand_to_its_account(id, score)
  local sync_id = sync_of(id)
  local sync = sync_id and SYNC .. sync_id
  local is_sync = sync and redis.call('TYPE', sync).ok == 'hash'
  local owner = is_sync and redis.call('HGET', sync, 'owner') or ''
  if owner == '' then
    if is_sync then redis.call('HSET', sync, 'owner', account) end
    owner = account
  end
  local its_queue, its_wake = queue_of(owner), wake_of(owner)
  if types(its_queue, 'zset') then
    redis.call('ZADD', common, int(now + 1000), id)
    return false
  end
  redis.call('ZADD', its_queue, score, id)
  redis.call('ZREM', common, id)
  if owner ~= account and not types(its_wake, 'list') then wake_one(its_wake) end
  return owner == account
end

-- The hash of a sync if the job is a suspect.
local function suspected_sync(id)
  local sync_id = sync_of(id)
  local sync = sync_id and SYNC .. sync_id
  if not sync or redis.call('TYPE', sync).ok ~= 'hash' then return nil end
  local slot = string.match(id, ':batch:(%d+):%d+:%d+$')
  local lost
  if slot then
    local batch = parse_batch(redis.call('HGET', sync, 'slot:' .. slot))
    lost = batch and batch.lost
  else
    lost = tonumber(redis.call('HGET', sync, 'revivals') or '')
  end
  return lost and lost >= suspect_after and sync or nil
end

-- Whether the time in which a suspect waits for a worker, or runs alone, is not over. It begins when a worker first asks.
local function is_kept_apart(sync, id)
  local job_id, since = string.match(redis.call('HGET', sync, 'suspect') or '', '^(.+) (%d+)$')
  if job_id ~= id then
    redis.call('HSET', sync, 'suspect', id .. ' ' .. int(now))
    return true
  end
  return tonumber(since) <= now and now < since + ALONE_MS
end

local function take(from, id, score)
  local left_ms = redis.call('PTTL', IN_PROGRESS .. id)
  if left_ms ~= -2 then
    -- A worker of an earlier version has taken it: that version keeps its jobs at the head.
    redis.call('ZADD', from, int(now + math.max(left_ms, 1000)), id)
    return
  end
  local kind = redis.call('TYPE', JOB .. id).ok
  if kind ~= 'string' then
    if kind ~= 'none' then redis.call('DEL', JOB .. id) end
    drop(from, id, kind == 'none' and 'its data is gone' or ('its data is a ' .. kind))
    return
  end
  if not number_of[from] and not hand_to_its_account(id, score) then return end
  local number = number_of[from] or 1
  redis.call('SET', IN_PROGRESS .. id, token .. ' ' .. score, 'PX', int(in_progress_ms))
  redis.call('DEL', RETRY .. id)
  redis.call('ZADD', queues[number], int(now + in_progress_ms), id)
  local sync_id, slot = sync_of(id), string.match(id, ':batch:(%d+):%d+:%d+$')
  if sync_id and types(due, 'zset') == nil then
    redis.call('ZADD', due, 'XX', int(now + stall_ms), slot and batch_due(sync_id, slot) or sync_id)
  end
  append(taken, { id, score, redis.call('GET', JOB .. id), number })
end

for i = #looked_at, 1, -1 do
  local other_type = types(looked_at[i], 'zset')
  if other_type then
    redis.call('DEL', looked_at[i])
    append(dropped, { looked_at[i], other_type[2] })
  end
end
-- Jobs whose time has come take the place that their age gives them.
for _, from in ipairs(looked_at) do
  local later = later_of(from)
  if types(later, 'zset') then redis.call('DEL', later) end
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', later, '-inf', int(now), 'LIMIT', 0, MOST_STEPS)) do
    local score = age_score(id, now)
    local is_free = redis.call('EXISTS', IN_PROGRESS .. id) == 0
    if score and is_free then redis.call('ZADD', from, 'XX', int(score), id) end
    redis.call('ZREM', later, id)
  end
end
local steps = 0
local passed = {}
for _, from in ipairs(looked_at) do passed[from] = 0 end

-- The first due job of a queue with its score, past those of newer syncs and of others; nil if there is none.
local function first_due(from)
  while true do
    local found = redis.call('ZRANGEBYSCORE', from, '-inf', int(now), 'WITHSCORES', 'LIMIT', passed[from], 1)
    local sync_id = found[1] and sync_of(found[1])
    if not sync_id or (is_served(sync_id) and not is_newer(sync_id)) then return found[1], found[2] end
    if passed[from] < MOST_PASSED then
      passed[from] = passed[from] + 1
    else
      redis.call('ZADD', from, int(now + 1000), found[1])
    end
  end
end

local running_suspect = only ~= '' and suspected_sync(only)
local waits_for_suspect = running_suspect and is_kept_apart(running_suspect, only) or false
while #taken < most and steps < MOST_STEPS and not waits_for_suspect do
  -- Each step removes one entry from the due ones.
  local best
  for _, from in ipairs(looked_at) do
    if best and in_turn then break end
    local id, score = first_due(from)
    if id and (not best or tonumber(score) < tonumber(best[3])) then best = { from, id, score } end
  end
  if not best then break end
  local suspect = suspected_sync(best[2])
  if suspect then
    local is_alone = running == 0 and #taken == 0
    if is_alone then
      redis.call('HSET', suspect, 'suspect', best[2] .. ' ' .. int(now))
      most = 1
    elseif is_kept_apart(suspect, best[2]) then
      waits_for_suspect = running > 0
      break
    end
  end
  take(best[1], best[2], best[3])
  steps = steps + 1
end

local next_ms = -1
for _, from in ipairs(looked_at) do
  local coming = redis.call('ZRANGEBYSCORE', from, '(' .. int(now), int(now + LOOK_AHEAD_MS), 'WITHSCORES', 'LIMIT', 0, 1)
  if coming[2] then
    local in_ms = math.max(0, coming[2] - now)
    if next_ms < 0 or in_ms < next_ms then next_ms = in_ms end
  end
end
if steps == MOST_STEPS then next_ms = 0 end
return { 'ok', next_ms, waits_for_suspect and 1 or 0, taken, dropped }

-- What every script shares. Keys are documented in keys.py; PREFIX stands before each. No script touches the key ''. Redis does not roll back, so a script calls `types` and its
-- own checks before it writes anything, and its first write is one that Redis refuses as a whole when out of memory.
--
-- Nor does Redis always keep a script whole: one that lost the end of its append-only file within a transaction, and is
-- then restarted again, has been seen to apply the transaction's first writes and not the rest. So whatever a move
-- changes of a sync is one HSET, which names state, epoch and holder each time; a sync that begins to run is made due
-- before that; and everything after the HSET can be made good from it: the job by the watcher, the rest when a job begins.

local JOB, IN_PROGRESS, RETRY = PREFIX .. 'arq:job:', PREFIX .. 'arq:in-progress:', PREFIX .. 'arq:retry:'
local SYNC, ACTIVE, ALL_SYNCS = PREFIX .. 'sp:sync:', PREFIX .. 'sp:active:', PREFIX .. 'sp:syncs'
local JOB_LIFETIME_MS = 90 * 86400000
local WAKE_TOKENS = 100

-- The queue of an account's jobs; '' is that of jobs which any worker may take.
local function queue_of(account)
  return PREFIX .. 'sp:queue' .. (account == '' and '' or ':' .. account)
end

local function wake_of(account)
  return PREFIX .. 'sp:wake' .. (account == '' and '' or ':' .. account)
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

local function int(number)
  return string.format('%.0f', number)
end

-- Refuses to start if a key that will be written holds another type. Takes key, type, key, type, ...
local function types(...)
  local pairs_ = { ... }
  for i = 1, #pairs_, 2 do
    local found = redis.call('TYPE', pairs_[i]).ok
    if found ~= 'none' and found ~= pairs_[i + 1] then
      return { 'broken', pairs_[i] .. ' holds a ' .. found .. ', not a ' .. pairs_[i + 1] }
    end
  end
  return nil
end

-- Where finalizers that wait for a time are noted, by that time: they go before others once it has come.
local function later_of(queue)
  return queue .. ':later'
end

-- Takes a job out of arq's hands, whether it waits, runs or is long dead.
local function drop_job(queue, job_id)
  redis.call('ZREM', queue, job_id)
  if string.find(job_id, ':finalize:', 1, true) and types(later_of(queue), 'zset') == nil then
    redis.call('ZREM', later_of(queue), job_id)
  end
  redis.call('DEL', JOB .. job_id, IN_PROGRESS .. job_id, RETRY .. job_id)
end

-- Wakes one of the workers that wait.
local function wake_one(wake)
  redis.call('LPUSH', wake, '1')
  redis.call('LTRIM', wake, 0, WAKE_TOKENS - 1)
end

-- The score with which a job is queued: the time at which it may start. A finalizer has the age of its sync instead, so
-- that syncs which began first finish first, however many others still read; the next walk of a sync goes behind the
-- walks that wait already. Returns nil for a job that has no other score than that time.
local function age_score(job_id, now)
  local id = string.match(job_id, '^(.+):finalize:%d+$')
  if not id or redis.call('TYPE', SYNC .. id).ok ~= 'hash' then return nil end
  local created_at = tonumber(redis.call('HGET', SYNC .. id, 'created_at') or '')
  return created_at and math.min(created_at, now)
end

-- Enqueues `job_id`, the one job that carries the sync on, in the place of `old`, and wakes a worker for it.
local function set_job(queue, wake, old, job_id, blob, delay_ms, now)
  if old and old ~= '' then drop_job(queue, old) end
  redis.call('DEL', IN_PROGRESS .. job_id, RETRY .. job_id)
  redis.call('SET', JOB .. job_id, blob, 'PX', int(JOB_LIFETIME_MS))
  local score = age_score(job_id, now)
  if delay_ms > 0 then
    local later = later_of(queue)
    if score and types(later, 'zset') == nil then redis.call('ZADD', later, int(now + delay_ms), job_id) end
    score = nil
  end
  redis.call('ZADD', queue, int(score or (now + delay_ms)), job_id)
  if delay_ms == 0 then wake_one(wake) end
end

-- Whether a job stands in the queue and no worker has taken it.
local function waits(queue, job_id)
  return redis.call('ZSCORE', queue, job_id) and redis.call('TYPE', JOB .. job_id).ok == 'string'
    and redis.call('EXISTS', IN_PROGRESS .. job_id) == 0
end

-- Keeps keys from expiring, or lets them expire after a time; '' or no name is no key.
local function persist(...)
  for i = 1, select('#', ...) do
    local key = select(i, ...)
    if key and key ~= '' then redis.call('PERSIST', key) end
  end
end

local function expire(retention_ms, ...)
  for i = 1, select('#', ...) do
    local key = select(i, ...)
    if key and key ~= '' then redis.call('PEXPIRE', key, retention_ms) end
  end
end

-- Keeps a sync that runs where it is found, and from expiring: what the move that made it run may not have come to.
local function keep(sync, id, now)
  local found = redis.call('HMGET', sync, 'identity', 'asked', 'created_at')
  local active = ACTIVE .. (found[1] or '')
  local is_set = function(key) return types(key, 'zset') == nil end
  if is_set(active) then redis.call('ZADD', active, 'NX', int(now), id) end
  if is_set(ALL_SYNCS) then redis.call('ZADD', ALL_SYNCS, 'NX', found[3] or int(now), id) end
  if found[2] and found[2] ~= '' then redis.call('SET', found[2], id, 'NX') end
  persist(sync, sync .. ':outcomes', found[2])
end

-- Whether a sync is under way.
local function runs(id)
  local sync = SYNC .. id
  if redis.call('TYPE', sync).ok ~= 'hash' then return false end
  local state = redis.call('HGET', sync, 'state')
  return state == 'queued' or state == 'fetching' or state == 'finalizing'
end

-- Whether a sync may be the business of an account: one of the two names none, or both name the same.
local function is_of(id, account)
  local sync = SYNC .. id
  if account == '' or redis.call('TYPE', sync).ok ~= 'hash' then return true end
  local found = redis.call('HGET', sync, 'owner') or ''
  return found == '' or found == account
end

-- The sync under way that a request means: the newest with the same options, else the newest; nil if there is none. One
-- of another account is not meant.
local function under_way(active, request, account)
  local newest
  for _, id in ipairs(redis.call('ZREVRANGE', active, 0, -1)) do
    if runs(id) and is_of(id, account) then
      if redis.call('HGET', SYNC .. id, 'request') == request then return id end
      newest = newest or id
    end
  end
  return newest
end

-- Whether the caller's job still owns the sync: nil if so, else the answer that tells it to stop.
local function stale(sync, state, epoch, holder)
  local found = redis.call('HMGET', sync, 'state', 'epoch', 'holder')
  if found[1] == state and found[2] == epoch and found[3] == holder then return nil end
  return { 'stale', found[1] or 'gone', found[2] or '' }
end

-- The id of a sync of one identity and account that runs, nil if there is none.
local function busy(active, account)
  for _, id in ipairs(redis.call('ZREVRANGE', active, 0, -1)) do
    if runs(id) and is_of(id, account) then return id end
  end
  return nil
end

-- Notes what became of a cluster, which is progress if it is news. The outcomes of an ended sync go when it goes.
local function note_outcome(sync, outcomes, cluster, outcome)
  if redis.call('HGET', outcomes, cluster) == outcome then return end
  redis.call('HSET', outcomes, cluster, outcome)
  redis.call('HSET', sync, 'revivals', '0')
  local left_ms = redis.call('PTTL', sync)
  if left_ms >= 0 then redis.call('PEXPIRE', outcomes, int(math.max(left_ms, 1))) end
end

-- Fan-out: the look-ahead of a sync is a fixed number of slots, fields of its hash, so that one HSET can fill and empty
-- them together with all else. A slot is '' or one try at a batch: `number attempt lost holder trouble_ms work`, where
-- `lost` counts the tries that fell silent, `holder` is `-` until a job has begun it, and `work` is opaque here. How many
-- slots there are, SLOTS, is said in keys.py.

local ROOM = SLOTS / 4 -- so many slots are free before a walk that ran out of them goes on

-- The batch that a slot's text holds; nil if the slot is free.
local function parse_batch(text)
  if not text or text == '' then return nil end
  local number, attempt, lost, holder, trouble_ms, work = string.match(text, '^(%d+) (%d+) (%d+) (%S+) (%d+) (.*)$')
  return { number = number, attempt = attempt, lost = lost, holder = holder, trouble_ms = trouble_ms, work = work }
end

local function batch_text(batch)
  return table.concat(
    { batch.number, batch.attempt, batch.lost, batch.holder, batch.trouble_ms, batch.work }, ' ')
end

local function batch_job(id, slot, batch)
  return table.concat({ id, 'batch', slot, batch.number, batch.attempt }, ':')
end

-- The member of `due` that watches a slot; no id of a sync holds a space.
local function batch_due(id, slot)
  return id .. ' ' .. slot
end

-- The outstanding batches of a sync: slot -> batch; and how many slots are free.
local function outstanding(sync)
  local names = {}
  for slot = 0, SLOTS - 1 do names[#names + 1] = 'slot:' .. slot end
  local found, free = {}, 0
  for i, text in ipairs(redis.call('HMGET', sync, unpack(names))) do
    found[i - 1] = parse_batch(text)
    if not found[i - 1] then free = free + 1 end
  end
  return found, free
end

-- What follows where no walk is at work: `finalize`, a `walk`, or nothing yet, since the batch that makes room for a
-- walk, or is the last, sees to it (`park`). listed: '1' if the listing has ended.
local function what_follows(listed, free)
  if listed == '1' then return free == SLOTS and 'finalize' or 'park' end
  return free >= ROOM and 'walk' or 'park'
end

-- The sync's one try at a batch, if the caller's is it: nil, answer if not.
local function own_batch(sync, slot, number, attempt, holder)
  local found = redis.call('HMGET', sync, 'state', 'epoch', 'holder', 'slot:' .. slot)
  local batch = parse_batch(found[4])
  if found[1] == 'fetching' and batch and batch.number == number and batch.attempt == attempt
    and (batch.holder == holder or holder == nil) then
    return batch, { state = found[1], epoch = found[2], holder = found[3] }
  end
  return nil, { 'stale', found[1] or 'gone', found[2] or '' }
end

-- Writes a slot and names the sync's state with it, see above.
local function set_slot(sync, slot, batch, at, ...)
  redis.call('HSET', sync, 'state', at.state, 'epoch', at.epoch, 'holder', at.holder, 'slot:' .. slot,
    batch and batch_text(batch) or '', ...)
end

-- Ends a sync: no job, no due time, not active; kept for `retention_ms` from now. Takes further fields to write: field,
-- value, ...
local function finish(sync, id, queue, due, state, retention_ms, now, ...)
  local found = redis.call('HMGET', sync, 'job', 'identity', 'epoch', 'asked', 'batches', 'owner')
  local active = ACTIVE .. (found[2] or '')
  redis.call('HSET', sync, 'state', state, 'epoch', int(found[3] + 1), 'holder', '', 'job', '', 'note', '',
    'finished_at', int(now), ...)
  -- The caller may not know yet which account has taken the sync.
  local taken_from = queue_of(found[6] or '')
  if taken_from ~= queue and types(taken_from, 'zset') == nil and found[1] and found[1] ~= '' then
    redis.call('ZREM', taken_from, found[1])
  end
  if found[1] and found[1] ~= '' then drop_job(queue, found[1]) end
  if found[5] then
    for slot, batch in pairs((outstanding(sync))) do
      drop_job(queue, batch_job(id, slot, batch))
      if taken_from ~= queue and types(taken_from, 'zset') == nil then
        redis.call('ZREM', taken_from, batch_job(id, slot, batch))
      end
      redis.call('ZREM', due, batch_due(id, slot))
    end
  end
  redis.call('ZREM', due, id)
  if redis.call('TYPE', active).ok == 'zset' then redis.call('ZREM', active, id) end
  expire(retention_ms, sync, sync .. ':outcomes', found[4])
end

-- The margin of a rate limit that is in force, in thousandths: what was added after refusals is halved with every quiet
-- time since.
local function margin_now(margin, added, widened, quiet_us, now)
  if not added or not widened then return margin end
  local halvings = math.max(0, math.floor((now - widened) / quiet_us))
  return margin + math.floor(added / 2 ^ math.min(halvings, 50))
end

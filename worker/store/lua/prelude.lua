-- What every script shares. Keys are documented in keys.py. Redis does not roll back, so a script calls `types` and its
-- own checks before it writes anything, and its first write is one that Redis refuses as a whole when out of memory.
--
-- Nor does Redis always keep a script whole: one that lost the end of its append-only file within a transaction, and is
-- then restarted again, has been seen to apply the transaction's first writes and not the rest. So whatever a move
-- changes of a sync is one HSET, which names state, epoch and holder each time; a sync that begins to run is made due
-- before that; and everything after the HSET can be made good from it by the watcher.

local JOB, IN_PROGRESS, RETRY = 'arq:job:', 'arq:in-progress:', 'arq:retry:'
local JOB_LIFETIME_MS = 90 * 86400000
local WAKE_TOKENS = 100

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

-- Takes a job out of arq's hands, whether it waits, runs or is long dead.
local function drop_job(queue, job_id)
  redis.call('ZREM', queue, job_id)
  redis.call('DEL', JOB .. job_id, IN_PROGRESS .. job_id, RETRY .. job_id)
end

-- Enqueues `job_id`, the one job that carries the sync on, in the place of `old`, and wakes a worker for it.
local function set_job(queue, wake, old, job_id, blob, delay_ms, now)
  if old and old ~= '' then drop_job(queue, old) end
  redis.call('DEL', IN_PROGRESS .. job_id, RETRY .. job_id)
  redis.call('SET', JOB .. job_id, blob, 'PX', int(JOB_LIFETIME_MS))
  redis.call('ZADD', queue, int(now + delay_ms), job_id)
  if delay_ms == 0 then
    redis.call('LPUSH', wake, '1')
    redis.call('LTRIM', wake, 0, WAKE_TOKENS - 1)
  end
end

-- Whether a sync is under way.
local function runs(id)
  local sync = 'sp:sync:' .. id
  if redis.call('TYPE', sync).ok ~= 'hash' then return false end
  local state = redis.call('HGET', sync, 'state')
  return state == 'queued' or state == 'fetching' or state == 'finalizing'
end

-- The sync under way that a request means: the newest with the same options, else the newest; nil if there is none.
local function under_way(active, request)
  local newest
  for _, id in ipairs(redis.call('ZREVRANGE', active, 0, -1)) do
    if runs(id) then
      if redis.call('HGET', 'sp:sync:' .. id, 'request') == request then return id end
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

-- The id of a sync of one identity that runs, nil if there is none.
local function busy(active)
  for _, id in ipairs(redis.call('ZREVRANGE', active, 0, -1)) do
    if runs(id) then return id end
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

-- Ends a sync: no job, no due time, not active; kept for `retention_ms` from now. Takes further fields to write: field,
-- value, ...
local function finish(sync, id, queue, due, state, retention_ms, now, ...)
  local found = redis.call('HMGET', sync, 'job', 'identity', 'epoch', 'asked')
  local active = 'sp:active:' .. (found[2] or '')
  redis.call('HSET', sync, 'state', state, 'epoch', int(found[3] + 1), 'holder', '', 'job', '', 'note', '',
    'finished_at', int(now), ...)
  if found[1] and found[1] ~= '' then drop_job(queue, found[1]) end
  redis.call('ZREM', due, id)
  if redis.call('TYPE', active).ok == 'zset' then redis.call('ZREM', active, id) end
  for _, key in ipairs({ sync, sync .. ':outcomes', found[4] or '' }) do
    redis.call('PEXPIRE', key, retention_ms)
  end
end

-- The margin of a rate limit that is in force, in thousandths: what was added after refusals is halved with every quiet
-- time since.
local function margin_now(margin, added, widened, quiet_us, now)
  if not added or not widened then return margin end
  local halvings = math.max(0, math.floor((now - widened) / quiet_us))
  return margin + math.floor(added / 2 ^ math.min(halvings, 50))
end

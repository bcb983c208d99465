-- arq's queue: which jobs wait, and how one is added, removed or replaced. A job is a table { job_id, job }.

local JOB_LIFETIME_MS = 90 * 86400000
local WAKE_TOKENS = 100

-- The queue of an account's jobs; '' is the queue of jobs that any worker may take.
local function queue_of(account)
  return PREFIX .. 'sp:queue' .. (account == '' and '' or ':' .. account)
end

-- The account whose queue has the jobs of a sync: its owner; without one, the account that will fail it (assign_job.lua).
local function job_account(owner, holder)
  if owner and owner ~= '' then return owner end
  return holder or ''
end

-- The wake tokens of that queue.
local function wake_of(account)
  return PREFIX .. 'sp:wake' .. (account == '' and '' or ':' .. account)
end

-- The finalizers of a queue that wait for a time, by that time: once it has come they go before others.
local function later_of(queue)
  return queue .. ':later'
end

-- Removes a job from the queue with all that arq keeps of it, whether it waits, runs or was lost.
local function drop_job(queue, job_id)
  redis.call('ZREM', queue, job_id)
  if string.find(job_id, ':finalize:', 1, true) and types(later_of(queue), 'zset') == nil then
    redis.call('ZREM', later_of(queue), job_id)
  end
  redis.call('DEL', JOB .. job_id, IN_PROGRESS .. job_id, RETRY .. job_id)
end

-- Wakes one of the waiting workers.
local function wake_one(wake)
  redis.call('LPUSH', wake, '1')
  redis.call('LTRIM', wake, 0, WAKE_TOKENS - 1)
end

-- The score with which a job is queued if it may start at once: a finalizer has the age of its sync, so that syncs which
-- began first finish first, however many others still read, and the next fetch job of a sync goes behind the fetch jobs that
-- wait already. Returns nil for a job whose score is the time at which it may start.
local function age_score(job_id, now)
  local id = string.match(job_id, '^(.+):finalize:%d+$')
  if not id or redis.call('TYPE', SYNC .. id).ok ~= 'hash' then return nil end
  local created_at = tonumber(redis.call('HGET', SYNC .. id, 'created_at') or '')
  return created_at and math.min(created_at, now)
end

-- Adds `job` to the queue instead of the job `old` ('' or nil for none), and wakes a worker if it may start at once.
local function set_job(queue, wake, old, job, delay_ms, now)
  if old and old ~= '' then drop_job(queue, old) end
  redis.call('DEL', IN_PROGRESS .. job.job_id, RETRY .. job.job_id)
  redis.call('SET', JOB .. job.job_id, job.job, 'PX', int(JOB_LIFETIME_MS))
  local score = age_score(job.job_id, now)
  if delay_ms > 0 then
    local later = later_of(queue)
    if score and types(later, 'zset') == nil then redis.call('ZADD', later, int(now + delay_ms), job.job_id) end
    score = nil
  end
  redis.call('ZADD', queue, int(score or (now + delay_ms)), job.job_id)
  if delay_ms == 0 then wake_one(wake) end
end

-- Whether a job is in the queue and no worker has taken it.
local function waits(queue, job_id)
  return redis.call('ZSCORE', queue, job_id) and redis.call('TYPE', JOB .. job_id).ok == 'string'
    and redis.call('EXISTS', IN_PROGRESS .. job_id) == 0
end

-- Sets the time at which the silence of `member` counts: of a sync, or of a batch.
local function watch(due, member, now, silent_ms)
  redis.call('ZADD', due, int(now + silent_ms), member)
end

-- Whether `member` is watched and its time has not come yet.
local function is_early(due, member, now)
  local due_ms = redis.call('ZSCORE', due, member)
  return due_ms and tonumber(due_ms) > now
end

-- A sync: who owns it, which others run, and how it starts, continues and ends. A lease is a table
-- { sync_id, state, epoch, holder }.

-- Keeps keys from expiring; '', false and nil are ignored.
local function persist(...)
  for i = 1, select('#', ...) do
    local key = (select(i, ...))
    if key and key ~= '' then redis.call('PERSIST', key) end
  end
end

-- Lets keys expire after a time; '', false and nil are ignored.
local function expire(retention_ms, ...)
  for i = 1, select('#', ...) do
    local key = (select(i, ...))
    if key and key ~= '' then redis.call('PEXPIRE', key, int(retention_ms)) end
  end
end

-- Restores what a script that was cut short may not have written for a running sync: its entries in the sets of running
-- and of all syncs, its idempotency key, and that nothing of it expires.
local function restore_entries(sync, id, now)
  local found = redis.call('HMGET', sync, 'identity', 'asked', 'created_at')
  local active = ACTIVE .. (found[1] or '')
  local is_set = function(key) return types(key, 'zset') == nil end
  if is_set(active) then redis.call('ZADD', active, 'NX', int(now), id) end
  if is_set(ALL_SYNCS) then redis.call('ZADD', ALL_SYNCS, 'NX', found[3] or int(now), id) end
  if found[2] and found[2] ~= '' then redis.call('SET', found[2], id, 'NX') end
  persist(sync, sync .. ':outcomes', found[2])
end

-- Whether a state is one in which a sync runs.
local function is_running(state)
  return state == 'queued' or state == 'fetching' or state == 'finalizing'
end

local function runs(id)
  local sync = SYNC .. id
  return redis.call('TYPE', sync).ok == 'hash' and is_running(redis.call('HGET', sync, 'state'))
end

-- Whether a sync is of a format that only newer workers read.
local function is_newer(id)
  local sync = SYNC .. id
  if redis.call('TYPE', sync).ok ~= 'hash' then return false end
  local format = tonumber(redis.call('HGET', sync, 'format') or '1')
  return format ~= nil and format > FORMAT
end

-- Whether a sync may belong to an account: one of the two names none, or both name the same.
local function is_of(id, account)
  local sync = SYNC .. id
  if account == '' or redis.call('TYPE', sync).ok ~= 'hash' then return true end
  local found = redis.call('HGET', sync, 'owner') or ''
  return found == '' or found == account
end

-- The id of a running sync of `active` and the account, nil if there is none: the newest with the options of `request` if
-- that is given and there is one, else the newest.
local function running_sync(active, account, request)
  local newest
  for _, id in ipairs(redis.call('ZREVRANGE', active, 0, -1)) do
    if runs(id) and is_of(id, account) then
      newest = newest or id
      if not request or redis.call('HGET', SYNC .. id, 'request') == request then return id end
    end
  end
  return newest
end

-- Returns nil if the caller's job still owns the sync in `state`, else the answer that tells it to stop.
local function stale(sync, state, lease)
  local found = redis.call('HMGET', sync, 'state', 'epoch', 'holder')
  if found[1] == state and tonumber(found[2]) == lease.epoch and found[3] == lease.holder then return nil end
  return { 'stale', found[1] or 'gone', found[2] or '' }
end

-- Returns nil if the caller's job may write with `token`, else the answer: `applied` if this very write has been done.
local function refuse_write(sync, state, lease, token)
  if redis.call('HGET', sync, 'token') == token then return { 'applied' } end
  return stale(sync, state, lease)
end

-- Notes what became of a cluster, which is progress if it is new. The outcomes of an ended sync expire with it.
local function note_outcome(sync, outcomes, cluster, outcome)
  if redis.call('HGET', outcomes, cluster) == outcome then return end
  redis.call('HSET', outcomes, cluster, outcome)
  redis.call('HSET', sync, 'revivals', '0')
  local left_ms = redis.call('PTTL', sync)
  if left_ms >= 0 then redis.call('PEXPIRE', outcomes, int(math.max(left_ms, 1))) end
end

-- Starts a sync, new or again: watches it, writes its fields (`changes`: field, value, ...), enqueues its job (nil: none),
-- and adds it to the running syncs of its identity. clear_outcomes: the key of outcomes that no longer count, or nil.
local function start_sync(at, id, changes, job, stall_ms, now, clear_outcomes)
  watch(at.due, id, now, stall_ms)
  redis.call('HSET', at.sync, unpack(changes))
  if clear_outcomes then redis.call('DEL', clear_outcomes) end
  if job then set_job(at.queue, at.wake, nil, job, 0, now) end
  redis.call('ZADD', at.active, int(now), id)
end

-- Creates a sync and its first job. at: keys; account: '' for none; asked: the key of its idempotency key, or nil.
local function create_sync(at, id, request, identity, account, job, asked, stall_ms, retention_ms, now)
  local changes = { 'id', id, 'format', WRITTEN_FORMAT, 'request', request, 'identity', identity, 'state', 'queued', 'epoch', '1',
    'holder', '',
    'job', job.job_id, 'seq', '0', 'token', '', 'cursor', '', 'guard', '', 'lookup', '', 'plan', '', 'pages', '0',
    'profiles', '0', 'complete', '0', 'aggregate', '', 'revivals', '0', 'trouble_ms', '0', 'note', '', 'asked', asked or '',
    'created_at', int(now), 'started_at', '', 'fetched_at', '', 'finished_at', '', 'error_code', '', 'error_message', '',
    'error_resumable', '', 'failed_in', '', 'applied_at', '', 'accepted', '', 'baseline', '' }
  if account ~= '' then append(changes, 'owner', account) end
  if asked then append(changes, 'asked_request', request) end
  start_sync(at, id, changes, job, stall_ms, now)
  redis.call('ZADD', at.syncs, int(now), id)
  redis.call('ZREMRANGEBYSCORE', at.syncs, '-inf', int(now - 4 * retention_ms))
  if asked then redis.call('SET', asked, id) end
end

-- Checks a commit of a fetch job. Returns nil and what the sync holds if it may be written, else the answer.
-- pages_field: the field that counts the pages of the commit.
local function check_commit(sync, lease, token, seq, pages_field)
  local refused = refuse_write(sync, 'fetching', lease, token)
  if refused then return refused end
  local found = redis.call('HMGET', sync, 'seq', 'revivals', 'job', pages_field)
  if tonumber(found[1]) ~= seq then
    return { 'conflict', 'commit ' .. int(seq + 1) .. ' was refused: the sync holds commit ' .. (found[1] or 'none') }
  end
  return nil, { revivals = found[2], job = found[3], pages = tonumber(found[4]) or 0 }
end

-- Writes a commit of a fetch job in one HSET, and hands the sync on if `follows` says so: `stay`; `walk` and `finalize`
-- enqueue `job`; `park` leaves the sync without a job. at: keys; checkpoint: cursor, guard, complete, trouble_ms, pages;
-- before: from check_commit; more: further fields: field, value, ...
local function write_commit(at, lease, token, note, checkpoint, before, follows, job, delay_ms, stall_ms, now, more)
  local revivals = before.revivals
  if checkpoint.pages > before.pages or follows == 'finalize' then revivals = '0' end
  local state, epoch, holder, next_job, fetched_at = 'fetching', int(lease.epoch), lease.holder, before.job, ''
  if follows ~= 'stay' then epoch, holder, next_job = int(lease.epoch + 1), '', job and job.job_id or '' end
  if follows == 'finalize' then state, fetched_at = 'finalizing', int(now) end
  redis.call('HSET', at.sync, 'state', state, 'epoch', epoch, 'holder', holder, 'job', next_job,
    'seq', int(checkpoint.seq + 1), 'token', token, 'cursor', checkpoint.cursor, 'guard', checkpoint.guard,
    'complete', flag(checkpoint.complete), 'revivals', revivals, 'trouble_ms', int(checkpoint.trouble_ms), 'note', note,
    'fetched_at', fetched_at, unpack(more))
  -- Outcomes that exist now were recorded late by a finalizer of before a restart, from the statistics of that time.
  if follows == 'finalize' then redis.call('DEL', at.outcomes) end
  if job then
    set_job(at.queue, at.wake, before.job, job, delay_ms, now)
  elseif follows == 'park' then
    drop_job(at.queue, before.job)
  end
  watch(at.due, lease.sync_id, now, stall_ms + delay_ms)
end

-- Ends a sync: no job, not watched, not running; kept for `retention_ms` from now. Its event is recorded, see outbox.lua.
-- Takes further fields to write: field, value, ...
local function finish(sync, id, queue, due, state, retention_ms, now, ...)
  local found = redis.call('HMGET', sync, 'job', 'identity', 'epoch', 'asked', 'batches', 'owner', 'state', 'event')
  local active, account, event = ACTIVE .. (found[2] or ''), found[6] or '', ''
  if not is_running(found[7]) then
    event = found[8] or '' -- the script that ended it was cut short
  elseif wants_events(account) then
    event = event_id(id, int(found[3] + 1) .. '-' .. int(now))
  end
  local changes = { 'state', state, 'epoch', int(found[3] + 1), 'holder', '', 'job', '', 'note', '', 'finished_at', int(now) }
  if event ~= (found[8] or '') then append(changes, 'event', event) end
  append(changes, ...)
  redis.call('HSET', sync, unpack(changes))
  if event ~= '' and wants_events(account) then record_event(account, event, 'sync', '', sync, now) end
  -- The caller may not know yet to which account the sync belongs.
  local own_queue = queue_of(account)
  local elsewhere = own_queue ~= queue and types(own_queue, 'zset') == nil
  local function drop(job_id)
    if elsewhere then drop_job(own_queue, job_id) end
    drop_job(queue, job_id)
  end
  if found[1] and found[1] ~= '' then drop(found[1]) end
  if found[5] then
    for slot, batch in pairs((outstanding(sync))) do
      drop(batch_job(id, slot, batch))
      redis.call('ZREM', due, batch_due(id, slot))
    end
  end
  redis.call('ZREM', due, id)
  if redis.call('TYPE', active).ok == 'zset' then redis.call('ZREM', active, id) end
  expire(retention_ms, sync, sync .. ':outcomes', found[4])
end

-- Ends a sync with a failure: a table { code, message, resumable, hint, needed_credits, credit_limit }. failed_in: the state in which it failed.
local function fail_sync(sync, id, queue, due, failed_in, failure, retention_ms, ...)
  finish(sync, id, queue, due, 'failed', retention_ms, now_ms(), 'error_code', failure.code, 'error_message',
    failure.message, 'error_resumable', flag(failure.resumable), 'error_hint', failure.hint or '',
    'error_needed_credits', failure.needed_credits and int(failure.needed_credits) or '',
    'error_credit_limit', failure.credit_limit and int(failure.credit_limit) or '', 'failed_in', failed_in, ...)
end

-- Creates a sync and its first job. requests: with an idempotency key, the keys of what it started: for this account, and
-- for no account (the same key twice if the caller names no account).
-- Answers: created | repeated (this very call had arrived before) | existing, id (of the sync that the request means)
if redis.call('EXISTS', sync) == 1 then return { 'repeated' } end
local asked, asked_of_any = requests[1], requests[2]
if asked then
  local first = redis.call('GET', asked)
  if first then return { 'existing', first } end
  first = redis.call('GET', asked_of_any)
  if first and is_of(first, account) then return { 'existing', first } end
end
local running = not force and running_sync(active, account, request)
if running then return { 'existing', running } end

local now = now_ms()
local changes = { 'id', id, 'format', FORMAT, 'request', request, 'identity', identity, 'state', 'queued', 'epoch', '1',
  'holder', '',
  'job', job.job_id, 'seq', '0', 'token', '', 'cursor', '', 'guard', '', 'lookup', '', 'plan', '', 'pages', '0',
  'profiles', '0', 'complete', '0', 'aggregate', '', 'revivals', '0', 'trouble_ms', '0', 'note', '', 'asked', asked or '',
  'created_at', int(now), 'started_at', '', 'fetched_at', '', 'finished_at', '', 'error_code', '', 'error_message', '',
  'error_resumable', '', 'failed_in', '', 'applied_at', '', 'accepted', '', 'baseline', '' }
if account ~= '' then append(changes, 'owner', account) end
if asked then append(changes, 'asked_request', request) end
start_sync({ sync = sync, queue = queue, due = due, wake = wake, active = active }, id, changes, job, stall_ms, now)
redis.call('ZADD', syncs, int(now), id)
redis.call('ZREMRANGEBYSCORE', syncs, '-inf', int(now - 4 * retention_ms))
if asked then redis.call('SET', asked, id) end
return { 'created' }

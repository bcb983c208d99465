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

create_sync({ sync = sync, queue = queue, due = due, wake = wake, active = active, syncs = syncs }, id, request, identity,
  account, job, asked, stall_ms, retention_ms, now_ms())
return { 'created' }

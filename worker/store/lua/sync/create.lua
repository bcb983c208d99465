-- A sync and its first job. Answers: created | repeated | known, id | active, id
-- KEYS: sync, queue, due, wake, syncs, active, and with an idempotency key: what it started, for this account, and for
--       none (the same key twice if the caller names no account)
-- ARGV: id, request, identity, job id, job, stall ms, force, retention ms, account ('': any)
local sync, queue, due, wake, syncs, active, asked, asked_of_any = unpack(KEYS)
local id, request, identity, job_id, job, stall_ms, force, retention_ms, account = unpack(ARGV)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset', wake, 'list', syncs, 'zset', active, 'zset')
if not broken and asked then broken = types(asked, 'string', asked_of_any, 'string') end
if broken then return broken end
if redis.call('EXISTS', sync) == 1 then return { 'repeated' } end
if asked then
  local first = redis.call('GET', asked)
  if first then return { 'known', first } end
  first = redis.call('GET', asked_of_any)
  if first and is_of(first, account) then return { 'known', first } end
end
local running = under_way(active, request, account)
if running and force ~= '1' then return { 'active', running } end

local now = now_ms()
redis.call('ZADD', due, int(now + stall_ms), id)
redis.call('HSET', sync, 'id', id, 'request', request, 'identity', identity, 'state', 'queued', 'epoch', '1',
  'holder', '', 'job', job_id, 'seq', '0', 'token', '', 'cursor', '', 'guard', '', 'lookup', '', 'plan', '', 'pages', '0',
  'profiles', '0', 'complete', '0', 'aggregate', '', 'revivals', '0', 'trouble_ms', '0', 'note', '', 'asked', asked or '',
  'created_at', int(now), 'started_at', '', 'fetched_at', '', 'finished_at', '', 'error_code', '',
  'error_message', '', 'error_resumable', '', 'failed_in', '', 'applied_at', '', 'accepted', '',
  'baseline', '', unpack(account ~= '' and { 'owner', account } or {}))
set_job(queue, wake, nil, job_id, job, 0, now)
redis.call('ZADD', syncs, int(now), id)
redis.call('ZREMRANGEBYSCORE', syncs, '-inf', int(now - 4 * retention_ms))
redis.call('ZADD', active, int(now), id)
if asked then redis.call('SET', asked, id) end
return { 'created' }

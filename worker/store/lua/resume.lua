-- A failed sync goes on in the state that it failed in; with restart, its fetching begins anew with fresh sums.
-- Answers: ok | busy, id (another sync of the same space runs) | changed (someone else moved it meanwhile) | gone
-- KEYS: sync, queue, due, wake, aggregate, outcomes, active
-- ARGV: id, epoch, restart, stall ms, job id, job
local sync, queue, due, wake, aggregate, outcomes, active = unpack(KEYS)
local id, epoch, restart, stall_ms, job_id, job = unpack(ARGV)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset', wake, 'list', aggregate, 'string', outcomes, 'hash',
  active, 'string')
if broken then return broken end
local found = redis.call('HMGET', sync, 'state', 'epoch', 'failed_in')
if not found[1] then return { 'gone' } end
if found[1] ~= 'failed' or found[2] ~= epoch then return { 'changed' } end
local running = redis.call('GET', active)
if running and running ~= id then
  local state = redis.call('HGET', 'sp:sync:' .. running, 'state')
  if state == 'queued' or state == 'fetching' or state == 'finalizing' then return { 'busy', running } end
end

local now = now_ms()
local state = found[3]
if restart == '1' then
  state = 'fetching'
  redis.call('HSET', sync, 'cursor', '', 'guard', '', 'pages', '0', 'profiles', '0', 'complete', '0',
    'started_at', int(now))
  redis.call('HDEL', sync, 'fetched_at')
  redis.call('DEL', aggregate, outcomes)
end
redis.call('HSET', sync, 'state', state, 'epoch', int(epoch + 1), 'holder', '', 'revivals', '0', 'trouble_ms', '0',
  'lookup', '', 'note', '')
redis.call('HDEL', sync, 'finished_at', 'error_code', 'error_message', 'error_resumable', 'failed_in')
set_job(sync, queue, wake, job_id, job, 0, now)
redis.call('ZADD', due, int(now + stall_ms), id)
redis.call('SET', active, id)
redis.call('PERSIST', sync)
redis.call('PERSIST', aggregate)
redis.call('PERSIST', outcomes)
return { 'ok' }

-- A job gives its sync to the next job of the same state, now or after a delay. Answers: ok | applied | stale, state, epoch
-- KEYS: sync, queue, due, wake
-- ARGV: id, state, epoch, holder, token, trouble ms, note, stall ms, delay ms, job id, job
local sync, queue, due, wake = unpack(KEYS)
local id, state, epoch, holder, token, trouble_ms, note, stall_ms, delay_ms, job_id, job = unpack(ARGV)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset', wake, 'list')
if broken then return broken end
if redis.call('HGET', sync, 'token') == token then return { 'applied' } end
local refused = stale(sync, state, epoch, holder)
if refused then return refused end

local now = now_ms()
local old = redis.call('HGET', sync, 'job')
redis.call('HSET', sync, 'state', state, 'epoch', int(epoch + 1), 'holder', '', 'job', job_id, 'token', token,
  'trouble_ms', trouble_ms, 'note', note)
set_job(queue, wake, old, job_id, job, tonumber(delay_ms), now)
redis.call('ZADD', due, int(now + stall_ms + delay_ms), id)
return { 'ok' }

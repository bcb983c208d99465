-- A job hands its sync to the next job of the same state, which starts now or after a delay.
-- Answers: ok | applied | stale, state, epoch
local refused = refuse_write(sync, lease.state, lease, token)
if refused then return refused end
local now = now_ms()
local old = redis.call('HGET', sync, 'job')
redis.call('HSET', sync, 'state', lease.state, 'epoch', int(lease.epoch + 1), 'holder', '', 'job', job.job_id,
  'token', token, 'trouble_ms', int(trouble_ms), 'note', note)
set_job(queue, wake, old, job, delay_ms, now)
watch(due, lease.sync_id, now, stall_ms + delay_ms)
return { 'ok' }

-- Makes a job that was taken and not begun free again, and wakes a worker for it. One that is over meanwhile, or that
-- waits already, stays as it is. Answers: ok
-- KEYS: queue, wake    ARGV: job id, its score when it was taken
local queue, wake = unpack(KEYS)
local job_id, score = unpack(ARGV)

local broken = types(queue, 'zset', wake, 'list')
if broken then return broken end
if redis.call('DEL', IN_PROGRESS .. job_id) == 1 and waits(queue, job_id) then
  redis.call('ZADD', queue, 'XX', score, job_id)
  wake_one(wake)
end
return { 'ok' }

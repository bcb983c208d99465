-- Makes a job that was taken and not begun free again, and wakes a worker for it. A job that has ended meanwhile, or that
-- waits already, stays unchanged. score: when it was due, as it was taken. Answers: ok
if redis.call('DEL', IN_PROGRESS .. job_id) == 1 and waits(queue, job_id) then
  redis.call('ZADD', queue, 'XX', int(score), job_id)
  wake_one(wake)
end
return { 'ok' }

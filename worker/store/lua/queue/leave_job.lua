-- Leaves a job that was taken to newer workers: it is free again, and due after `delay_ms`. Answers: ok
redis.call('ZADD', queue, 'XX', int(now_ms() + delay_ms), job_id)
redis.call('DEL', IN_PROGRESS .. job_id, RETRY .. job_id)
return { 'ok' }

-- Removes a schedule. A sync that it has started continues. Answers: ok | gone
redis.call('ZREM', ticks, id)
redis.call('ZREM', alerts, id)
redis.call('ZREM', schedules, id)
return { redis.call('DEL', schedule) == 1 and 'ok' or 'gone' }

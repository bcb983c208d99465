-- Records that only workers of a newer format can continue a sync. Answers: ok
if redis.call('HGET', sync, 'state') and (tonumber(redis.call('HGET', sync, 'format') or '1') or 1) < format then
  redis.call('HSET', sync, 'format', int(format))
end
return { 'ok' }

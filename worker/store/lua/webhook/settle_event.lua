-- Notes what became of an attempt to deliver an event: delivered (reason ''), lost (`lost` with a reason), removed unsent
-- (`lost` without one), or due again after `delay_ms`.
-- Answers: ok
local now = now_ms()
if reason == '' or lost then
  if not lost then redis.call('HSET', webhooks, 'delivered_at', int(now)) end
  drop_event(webhooks, outbox, id, reason ~= '' and reason or nil, now)
elseif redis.call('EXISTS', EVENT .. id) == 1 then
  redis.call('HSET', webhooks, 'error', reason, 'error_at', int(now))
  redis.call('ZADD', outbox, int(now + delay_ms), id)
end
return { 'ok' }

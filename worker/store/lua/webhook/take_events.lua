-- Takes events that are due: each belongs to the caller for `hold_ms`, and is due again after that. Entries whose event has
-- expired are lost.
-- Answers: ok, ((id, kind, document, when it was recorded (ms), number of this attempt, time of the first one (ms)), ...)
local now = now_ms()
note_look(outbox, clock, now)
local taken = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', outbox, '-inf', int(now), 'LIMIT', 0, int(count))) do
  local event = EVENT .. id
  local found = redis.call('TYPE', event).ok == 'hash'
    and redis.call('HMGET', event, 'kind', 'document', 'at', 'attempts', 'first_at') or {}
  if not found[1] then
    drop_event(webhooks, outbox, id, 'no worker could deliver it within three days', now)
  else
    local attempt = (tonumber(found[4] or '0') or 0) + 1
    local first_at = found[5] ~= '' and found[5] or int(now)
    redis.call('ZADD', outbox, int(now + hold_ms), id)
    redis.call('HSET', event, 'attempts', int(attempt), 'first_at', first_at)
    append(taken, { id, found[1], found[2] or '', found[3] or '0', attempt, first_at })
  end
end
return { 'ok', taken }

-- Lists the schedules that must be checked for a complete sync in time. Entries that have no such schedule are dropped.
-- Answers: ok, now (ms), ((id, document, since when it is watched (ms), `1` if it is overdue), ...)
local now = now_ms()
note_look(alerts, clock, now)
local entries = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', alerts, '-inf', int(now), 'LIMIT', 0, int(count))) do
  local key = SCHEDULE .. id
  local found = redis.call('TYPE', key).ok == 'hash'
    and redis.call('HMGET', key, 'document', 'paused', 'watched_at', 'overdue') or {}
  if not found[1] or found[2] == '1' then
    redis.call('ZREM', alerts, id)
  else
    append(entries, { id, found[1], found[3] or '', found[4] or '' })
  end
end
return { 'ok', now, entries }

-- Lists the schedules whose tick has come. Entries that have none are dropped. After the clock was set back, the tick that
-- comes next is not known: each schedule is due with the tick 0, so that the caller computes it again.
-- Answers: ok, now (ms), ((id, document, tick (ms), last tick (ms, '' for none), when it was added (ms)), ...)
local now = now_ms()
for _, id in ipairs(note_look(ticks, clock, now)) do
  if redis.call('TYPE', SCHEDULE .. id).ok == 'hash' then redis.call('HSET', SCHEDULE .. id, 'next', '0') end
end

local entries = {}
for _, id in ipairs(redis.call('ZRANGEBYSCORE', ticks, '-inf', int(now), 'LIMIT', 0, int(count))) do
  local key = SCHEDULE .. id
  local found = redis.call('TYPE', key).ok == 'hash'
    and redis.call('HMGET', key, 'document', 'paused', 'next', 'last_tick', 'created_at') or {}
  local tick = tonumber(found[3] or '')
  if not found[1] or found[2] == '1' or not tick then
    redis.call('ZREM', ticks, id)
  elseif tick > now then
    redis.call('ZADD', ticks, int(tick), id) -- the script that moved the tick was cut short
  else
    append(entries, { id, found[1], found[3], found[4] or '', found[5] or '' })
  end
end
return { 'ok', now, entries }

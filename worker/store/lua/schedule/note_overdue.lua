-- Notes whether a schedule has had its complete sync in time, and records `sync.overdue` once if it has not. base_ms: the
-- time from which it is overdue, so that the same lack of a sync is one event; next_ms: when it is checked again.
-- Answers: ok | gone
local found = redis.call('HMGET', schedule, 'document', 'paused', 'overdue', 'alerted')
if not found[1] or found[2] == '1' then return { 'gone' } end
redis.call('ZADD', alerts, int(next_ms), schedule_id)
local alerted = overdue and found[4] == '1'
if overdue and not alerted and wants_events(account) then
  record_event(account, event_id(schedule_id, int(base_ms)), 'sync.overdue', document, nil, now_ms())
  alerted = true
end
redis.call('HSET', schedule, 'overdue', overdue and '1' or '', 'alerted', alerted and '1' or '')
return { 'ok' }

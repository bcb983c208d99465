-- Notes whether the credits of an account are low, and records `credits.low` when they become so. Answers: ok
local found = redis.call('HMGET', alerts, 'credits_low', 'alarms')
if (found[1] == '1') == low then return { 'ok' } end
local alarms = tonumber(found[2] or '0') or 0
if not low then
  redis.call('HSET', alerts, 'credits_low', '')
elseif wants_events(account) then
  record_event(account, event_id('credits-' .. account, int(alarms + 1)), 'credits.low', document, nil, now_ms())
  redis.call('HSET', alerts, 'credits_low', '1', 'alarms', int(alarms + 1))
end
return { 'ok' }

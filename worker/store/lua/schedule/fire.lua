-- A tick of a schedule: starts its sync, follows the one of the same options that is under way, or waits for one of other
-- options to end. expected_ms: the stored tick; tick_ms: the tick that is handled, which may be a later one; id: of the sync,
-- which follows from the tick, so that a tick that comes again finds its sync; next_ms: the tick that comes next, nil for none.
-- Answers: started, id | followed, id | waiting, id | changed (another worker handled it) | gone
local found = redis.call('HMGET', schedule, 'next', 'paused')
if not found[1] then return { 'gone' } end
if found[2] == '1' or tonumber(found[1]) ~= expected_ms then return { 'changed' } end
local now = now_ms()
local result, chosen = 'started', id
if redis.call('EXISTS', sync) == 0 then
  local running = running_sync(active, account, request)
  if not running then
    create_sync({ sync = sync, queue = queue, due = due, wake = wake, active = active, syncs = syncs }, id, request, identity,
      account, job, nil, stall_ms, retention_ms, now)
  elseif redis.call('HGET', SYNC .. running, 'request') == request then
    result, chosen = 'followed', running
  else
    redis.call('ZADD', ticks, int(now + wait_ms), schedule_id)
    redis.call('HSET', schedule, 'last_tick', int(tick_ms), 'last_result', 'waiting', 'last_sync', running)
    return { 'waiting', running }
  end
end
redis.call('HSET', schedule, 'next', next_ms and int(next_ms) or '', 'last_tick', int(tick_ms), 'last_result', result,
  'last_sync', chosen)
move_tick(ticks, schedule_id, next_ms)
return { result, chosen }

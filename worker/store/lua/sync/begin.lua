-- A job takes the lease of its epoch; an epoch is begun once. Answers: ok, (field, value, ...) | stale, state, epoch
local found = redis.call('HMGET', sync, 'state', 'epoch', 'holder', 'started_at', 'parked')
local state = found[1]
local fits = (kind == 'walk' and (state == 'queued' or state == 'fetching')) or (kind == 'finalize' and state == 'finalizing')
if not fits or found[5] == '1' or tonumber(found[2]) ~= epoch or (found[3] ~= '' and found[3] ~= holder) then
  return { 'stale', state or 'gone', found[2] or '' }
end
if not is_of(id, account) then return { 'stale', 'of another Mavera account', found[2] } end

if is_newer(id) then return { 'stale', 'for newer workers', found[2] } end

local now = now_ms()
local started_at = found[4]
if state == 'queued' then
  state = 'fetching'
  if started_at == '' then started_at = int(now) end
end
redis.call('HSET', sync, 'state', state, 'epoch', int(epoch), 'holder', holder, 'started_at', started_at,
  unpack(account ~= '' and { 'owner', account } or {}))
-- The note of a failing API stays until a request succeeds.
if (redis.call('HGET', sync, 'trouble_ms') or '0') == '0' then redis.call('HSET', sync, 'note', '') end
watch(due, id, now, stall_ms)
restore_entries(sync, id, now)
return { 'ok', redis.call('HGETALL', sync) }

-- A job takes the lease of its epoch; an epoch is begun once. Answers: ok, field, value, ... | stale, state, epoch
-- KEYS: sync, due    ARGV: id, epoch, holder, stall ms, kind (walk, finalize), account ('': none)
local sync, due = unpack(KEYS)
local id, epoch, holder, stall_ms, kind, account = unpack(ARGV)

local broken = types(sync, 'hash', due, 'zset')
if broken then return broken end
local found = redis.call('HMGET', sync, 'state', 'epoch', 'holder', 'started_at', 'parked')
local state = found[1]
local fits = (kind == 'walk' and (state == 'queued' or state == 'fetching')) or (kind == 'finalize' and state == 'finalizing')
if not fits or found[5] == '1' or found[2] ~= epoch or (found[3] ~= '' and found[3] ~= holder) then
  return { 'stale', state or 'gone', found[2] or '' }
end
if not is_of(id, account) then return { 'stale', 'of another Mavera account', found[2] } end

local now = now_ms()
local started_at = found[4]
if state == 'queued' then
  state = 'fetching'
  if started_at == '' then started_at = int(now) end
end
redis.call('HSET', sync, 'state', state, 'epoch', epoch, 'holder', holder, 'started_at', started_at,
  unpack(account ~= '' and { 'owner', account } or {}))
-- The reason of a trouble stays until something succeeds.
if (redis.call('HGET', sync, 'trouble_ms') or '0') == '0' then redis.call('HSET', sync, 'note', '') end
redis.call('ZADD', due, int(now + stall_ms), id)
keep(sync, id, now)
local answer = { 'ok' }
for _, part in ipairs(redis.call('HGETALL', sync)) do answer[#answer + 1] = part end
return answer

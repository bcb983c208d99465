-- The watcher's look at what is due. A sync or a batch whose job waits in the queue gets its next look after the time that
-- silence takes, here; what cannot be one is no longer watched; the rest is for the watcher to judge.
-- Answers: ok, number looked at, (sync id, slot ('' for a sync), state ('' if it is not known), epoch,
-- text of the slot), ...
-- KEYS: due    ARGV: stall ms, how many to skip, how many to look at
local due = KEYS[1]
local stall_ms, skip, count = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local COMMON = queue_of('')

local broken = types(due, 'zset')
if broken then return broken end
local now = now_ms()
local members = redis.call('ZRANGEBYSCORE', due, '-inf', int(now), 'LIMIT', skip, count)
local answer = { 'ok', #members }

local function job_waits(account, job_id)
  local own = queue_of(account)
  if types(own, 'zset') == nil and waits(own, job_id) then return true end
  return own ~= COMMON and types(COMMON, 'zset') == nil and waits(COMMON, job_id)
end

for _, member in ipairs(members) do
  local id, slot = string.match(member, '^([^ ]*) (%d+)$')
  id, slot = id or member, slot or ''
  local kind = redis.call('TYPE', SYNC .. id).ok
  if (kind ~= 'hash' and kind ~= 'none') or string.find(id, ' ', 1, true) then
    redis.call('ZREM', due, member)
  else
    local found = kind == 'hash'
      and redis.call('HMGET', SYNC .. id, 'state', 'epoch', 'holder', 'job', 'parked', 'owner', 'slot:' .. slot) or {}
    local account, job_id = found[6] or '', nil
    local batch = slot ~= '' and parse_batch(found[7])
    if batch and batch.holder == '-' then
      job_id = batch_job(id, slot, batch)
    elseif slot == '' and found[5] ~= '1' and found[3] == '' and found[4] ~= '' then
      job_id = found[4]
    end
    if job_id and job_waits(account, job_id) then
      redis.call('ZADD', due, int(now + stall_ms), member)
    else
      for _, part in ipairs({ id, slot, found[1] or '', found[2] or '', found[7] or '' }) do
        answer[#answer + 1] = part
      end
    end
  end
end
return answer

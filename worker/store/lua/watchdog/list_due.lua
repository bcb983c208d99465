-- Lists what is due. A sync or a batch whose job waits in the queue is looked at again after the time that silence takes;
-- entries that are neither are no longer watched; the rest is answered for the watchdog to judge.
-- Answers: ok, number looked at, ((sync id, slot ('' for a sync), state ('' if it is not known), epoch, text of the slot), ...)
local COMMON = queue_of('')
local now = now_ms()
local members = redis.call('ZRANGEBYSCORE', due, '-inf', int(now), 'LIMIT', int(skip), int(count))
local entries = {}

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
  elseif kind == 'hash' and is_newer(id) then
    redis.call('ZADD', due, int(now + 1000), member) -- for the watchers of newer workers
  else
    local found = kind == 'hash'
      and redis.call('HMGET', SYNC .. id, 'state', 'epoch', 'holder', 'job', 'parked', 'owner', 'slot:' .. slot,
        'job_account') or {}
    local account, job_id = job_account(found[6], found[8]), nil
    local batch = slot ~= '' and parse_batch(found[7])
    if batch and batch.holder == '-' then
      job_id = batch_job(id, slot, batch)
    elseif slot == '' and found[5] ~= '1' and found[3] == '' and found[4] ~= '' then
      job_id = found[4]
    end
    if job_id and job_waits(account, job_id) then
      watch(due, member, now, stall_ms)
    else
      append(entries, { id, slot, found[1] or '', found[2] or '', found[7] or '' })
    end
  end
end
return { 'ok', #members, entries }

-- Every cluster has its persona or its reason, or a preview its plan: the sync is completed.
-- Answers: ok | applied | stale, state, epoch
-- KEYS: sync, queue, due, history
-- ARGV: id, epoch, holder, token, retention ms, plan ('': it stays as it is), baseline, snapshot ('' for none), most kept
local sync, queue, due, history = unpack(KEYS)
local id, epoch, holder, token, retention_ms, plan, baseline, snapshot, most = unpack(ARGV)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset')
if broken then return broken end
if redis.call('HGET', sync, 'token') == token then return { 'applied' } end
local refused = stale(sync, 'finalizing', epoch, holder)
if refused then return refused end
if plan == '' then plan = redis.call('HGET', sync, 'plan') or '' end
local kept = redis.call('TYPE', history).ok
if snapshot ~= '' and (kept == 'list' or kept == 'none') then
  -- First, so that no completed sync is without one; and once, if the rest of the script was lost and comes again.
  redis.call('LPUSH', history, snapshot)
  local mark = '{"sync_id":"' .. id .. '"'
  for i, entry in ipairs(redis.call('LRANGE', history, 1, -1)) do
    if string.sub(entry, 1, #mark) == mark then redis.call('LREM', history, -1, entry) end
  end
  redis.call('LTRIM', history, 0, most - 1)
end
finish(sync, id, queue, due, 'completed', retention_ms, now_ms(), 'token', token, 'plan', plan, 'baseline', baseline)
return { 'ok' }

-- Completes a sync: every cluster has its persona or the reason why not, or a preview has its plan. plan: '' leaves the
-- stored plan unchanged; baseline, snapshot: '' for none; history_length: entries that the history keeps.
-- Answers: ok | applied | stale, state, epoch
local refused = refuse_write(sync, 'finalizing', lease, token)
if refused then return refused end
if plan == '' then plan = redis.call('HGET', sync, 'plan') or '' end
local found = redis.call('TYPE', history).ok
if snapshot ~= '' and (found == 'list' or found == 'none') then
  -- Before the sync is completed, so that no completed sync lacks its snapshot. If the rest of this script was lost and it
  -- comes again, the earlier entry is removed. An entry is compact JSON (Snapshot.encode) that holds the id of its sync.
  redis.call('LPUSH', history, snapshot)
  local mark = '"sync_id":"' .. lease.sync_id .. '"'
  for _, entry in ipairs(redis.call('LRANGE', history, 1, -1)) do
    if string.find(entry, mark, 1, true) then redis.call('LREM', history, -1, entry) end
  end
  redis.call('LTRIM', history, 0, history_length - 1)
end
finish(sync, lease.sync_id, queue, due, 'completed', retention_ms, now_ms(), 'token', token, 'plan', plan,
  'baseline', baseline)
return { 'ok' }

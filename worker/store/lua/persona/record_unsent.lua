-- Notes the outcome of a cluster for which nothing is sent, and replaces the persona's record if it is still `before`
-- (before, after: '' for none). The caller is the sync's finalizer, also one that has just completed the sync.
-- Answers: ok | stale, state, epoch
local refused = stale(sync, 'finalizing', lease)
if refused and (refused[2] ~= 'completed' or tonumber(refused[3]) ~= lease.epoch + 1) then return refused end
-- A record that another sync has written since is newer.
if after ~= '' and (redis.call('HGET', personas, reference) or '') == before then
  redis.call('HSET', personas, reference, after)
end
note_outcome(sync, outcomes, cluster, outcome)
return { 'ok' }

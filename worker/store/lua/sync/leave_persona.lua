-- What becomes of a cluster for which nothing is sent, and its record as it was last seen; in the hands of the sync's
-- finalizer, also just after it has completed the sync. Answers: ok | stale, state, epoch
-- KEYS: personas, sync, outcomes    ARGV: epoch, holder, reference, record before ('' for none), after, cluster, outcome
local personas, sync, outcomes = unpack(KEYS)
local epoch, holder, reference, before, after, cluster, outcome = unpack(ARGV)

local broken = types(personas, 'hash', sync, 'hash', outcomes, 'hash')
if broken then return broken end
local refused = stale(sync, 'finalizing', epoch, holder)
if refused and (refused[2] ~= 'completed' or refused[3] ~= int(epoch + 1)) then return refused end
-- If another sync has recorded something since, that is newer.
if after ~= '' and (redis.call('HGET', personas, reference) or '') == before then
  redis.call('HSET', personas, reference, after)
end
note_outcome(sync, outcomes, cluster, outcome)
return { 'ok' }

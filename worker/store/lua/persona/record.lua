-- Which persona a cluster has, accepted in any state of the sync; ends the claim. Answers: ok
-- KEYS: personas, claim, sync, outcomes
-- ARGV: reference, record, cluster, outcome, persona id, credits, fetched at ('': whenever that was)
local personas, claim, sync, outcomes = unpack(KEYS)
local reference, record, cluster, outcome, persona_id, credits, fetched_at = unpack(ARGV)

local broken = types(personas, 'hash', claim, 'hash', sync, 'hash', outcomes, 'hash')
if broken then return broken end
redis.call('HSET', personas, reference, record)
redis.call('DEL', claim)
if redis.call('EXISTS', sync) == 1 then
  -- A finalizer from before a restart may still be at work: what it made of other statistics settles nothing.
  if fetched_at == '' or fetched_at == redis.call('HGET', sync, 'fetched_at') then
    note_outcome(sync, outcomes, cluster, outcome)
  end
  -- A persona is paid for once, however often, by whom and with what outcome its purchase is recorded.
  if credits ~= '0' then redis.call('HSETNX', sync, 'paid:' .. persona_id, credits) end
end
return { 'ok' }

-- Which persona a cluster has, accepted in any state of the sync; ends the claim. Answers: ok
-- KEYS: personas, claim, sync, outcomes    ARGV: reference, record, cluster, outcome, credits
local personas, claim, sync, outcomes = unpack(KEYS)
local reference, record, cluster, outcome, credits = unpack(ARGV)

local broken = types(personas, 'hash', claim, 'hash', sync, 'hash', outcomes, 'hash')
if broken then return broken end
redis.call('HSET', personas, reference, record)
redis.call('DEL', claim)
-- The same outcome again is this very record, sent twice: its credits count once.
if redis.call('EXISTS', sync) == 1 and redis.call('HGET', outcomes, cluster) ~= outcome then
  redis.call('HSET', outcomes, cluster, outcome)
  redis.call('HSET', sync, 'revivals', '0')
  redis.call('HINCRBY', sync, 'credits', credits)
  local left_ms = redis.call('PTTL', sync)
  if left_ms > 0 then redis.call('PEXPIRE', outcomes, left_ms) end
end
return { 'ok' }

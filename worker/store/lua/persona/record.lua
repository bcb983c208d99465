-- Records the persona of a cluster, in any state of the sync, and ends the claim. fetched_at: ms at which the statistics were
-- read that the persona was made from; nil: it depends on none. Answers: ok
redis.call('HSET', personas, reference, record)
redis.call('DEL', claim)
if redis.call('EXISTS', sync) == 1 then
  -- A finalizer of before a restart may still work: an outcome from other statistics does not count.
  if not fetched_at or int(fetched_at) == redis.call('HGET', sync, 'fetched_at') then
    note_outcome(sync, outcomes, cluster, outcome)
  end
  -- A persona is paid for once, however often, by which job and with what outcome its purchase is recorded.
  if credits ~= 0 then redis.call('HSETNX', sync, 'paid:' .. persona_id, int(credits)) end
end
return { 'ok' }

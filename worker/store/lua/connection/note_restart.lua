-- Notices that Redis was restarted, and may have lost its last moments. Data without a note may have been emptied, and a
-- claim with it: that counts as a restart too. permanent: this Redis cannot be emptied, being as old as its only user.
-- Answers: ok, ms since this run was first seen (-1: an earlier version noted this run, and has seen no other; 0 also if the
-- clock was set back since), when it was first seen ('' for -1)
local seen = redis.call('HMGET', noted, 'id', 'at')
local now = now_ms()
if not seen[1] and permanent then
  redis.call('HSET', noted, 'id', run_id, 'at', '')
  return { 'ok', -1, '' }
end
if seen[1] ~= run_id then
  redis.call('HSET', noted, 'id', run_id, 'at', int(now))
  return { 'ok', 0, int(now) }
end
if seen[2] == '' then return { 'ok', -1, '' } end
return { 'ok', math.max(0, now - seen[2]), seen[2] }

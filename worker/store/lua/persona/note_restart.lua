-- Notices that Redis was restarted, and may have lost its last moments. Data without a mark may have been emptied, and
-- lost a claim in that way: that counts as a restart too. Answers: ok, ms since this run was first seen (-1: an earlier
-- version noted this run, and has seen no other; 0 also if the clock was set back since), its mark: when that was
-- KEYS: run    ARGV: run id, 1 if this Redis cannot be emptied: it is as old as the only process that uses it
local broken = types(KEYS[1], 'hash')
if broken then return broken end
local seen = redis.call('HMGET', KEYS[1], 'id', 'at')
local now = now_ms()
if not seen[1] and ARGV[2] == '1' then
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'at', '')
  return { 'ok', -1, '' }
end
if seen[1] ~= ARGV[1] then
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'at', int(now))
  return { 'ok', 0, int(now) }
end
if seen[2] == '' then return { 'ok', -1, '' } end
return { 'ok', math.max(0, now - seen[2]), seen[2] }

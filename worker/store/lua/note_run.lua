-- Notices that Redis was restarted, and may have lost its last moments. Answers: ok, ms since another run was first seen
-- (-1: this is the only run that its data has seen)
-- KEYS: run    ARGV: run id
local broken = types(KEYS[1], 'hash')
if broken then return broken end
local seen = redis.call('HMGET', KEYS[1], 'id', 'at')
if not seen[1] then
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'at', '')
  return { 'ok', -1 }
end
local now = now_ms()
if seen[1] ~= ARGV[1] then
  redis.call('HSET', KEYS[1], 'id', ARGV[1], 'at', int(now))
  return { 'ok', 0 }
end
if seen[2] == '' then return { 'ok', -1 } end
return { 'ok', now - seen[2] }

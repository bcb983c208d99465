-- Forgets a persona that Mavera no longer has, unless another record has taken its place. Answers: ok | changed
-- KEYS: personas    ARGV: reference, record
local broken = types(KEYS[1], 'hash')
if broken then return broken end
if redis.call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then return { 'changed' } end
redis.call('HDEL', KEYS[1], ARGV[1])
return { 'ok' }

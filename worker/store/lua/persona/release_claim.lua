-- Gives a claim back that bought nothing. Answers: ok | changed
-- KEYS: claim    ARGV: by
local broken = types(KEYS[1], 'hash')
if broken then return broken end
if redis.call('HGET', KEYS[1], 'by') ~= ARGV[1] then return { 'changed' } end
redis.call('DEL', KEYS[1])
return { 'ok' }

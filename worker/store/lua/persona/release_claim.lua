-- Ends a claim that bought nothing. Answers: ok | changed
if redis.call('HGET', claim, 'by') ~= by then return { 'changed' } end
redis.call('DEL', claim)
return { 'ok' }

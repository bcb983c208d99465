-- Removes the record of a persona that Mavera no longer has, unless another record has replaced it. Answers: ok | changed
if redis.call('HGET', personas, reference) ~= record then return { 'changed' } end
redis.call('HDEL', personas, reference)
return { 'ok' }

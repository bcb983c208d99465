-- Gives back what a call of take_jobs took whose answer was lost: the jobs of a queue whose mark has its `token`, but for those
-- that its repetition answered (`kept`). Each has its place in the queue again. Answers: ok
local is_kept, now = {}, now_ms()
for _, id in ipairs(kept) do is_kept[id] = true end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', queue, '(' .. int(now), '+inf')) do
  local mark = redis.call('TYPE', IN_PROGRESS .. id).ok == 'string' and redis.call('GET', IN_PROGRESS .. id) or ''
  local by, score = string.match(mark, '^(%S+) (%S+)$')
  if by == token and not is_kept[id] then
    redis.call('ZADD', queue, 'XX', score, id)
    redis.call('DEL', IN_PROGRESS .. id)
    wake_one(wake)
  end
end
return { 'ok' }

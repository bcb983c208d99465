-- Picks jobs that may start, and marks each as in progress. What is no job is dropped, also the queue itself if it is
-- none. Answers: ok, ms until the next job may start (-1: none soon), number taken, id, score, job, ..., dropped id,
-- reason, ...
-- KEYS: queue    ARGV: most, in-progress ms, how far to read
local LOOK_AHEAD_MS = 60000
local queue = KEYS[1]
local most, ttl, depth = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])

local broken = types(queue, 'zset')
if broken then
  redis.call('DEL', queue)
  return { 'ok', -1, 0, queue, broken[2] }
end
local now = now_ms()
local taken, dropped = {}, {}
local due = redis.call('ZRANGEBYSCORE', queue, '-inf', int(now), 'WITHSCORES', 'LIMIT', 0, depth)
for i = 1, #due, 2 do
  if #taken >= 3 * most then break end
  local id = due[i]
  if redis.call('EXISTS', IN_PROGRESS .. id) == 0 then
    local kind = redis.call('TYPE', JOB .. id).ok
    if kind == 'string' then
      redis.call('SET', IN_PROGRESS .. id, '1', 'PX', ttl)
      redis.call('DEL', RETRY .. id)
      taken[#taken + 1] = id
      taken[#taken + 1] = due[i + 1]
      taken[#taken + 1] = redis.call('GET', JOB .. id)
    else
      redis.call('ZREM', queue, id)
      if kind ~= 'none' then redis.call('DEL', JOB .. id) end
      dropped[#dropped + 1] = id
      dropped[#dropped + 1] = kind == 'none' and 'its data is gone' or ('its data is a ' .. kind)
    end
  end
end
local next_ms = -1
local coming = redis.call('ZRANGEBYSCORE', queue, '(' .. int(now), int(now + LOOK_AHEAD_MS), 'WITHSCORES',
  'LIMIT', 0, 1)
if coming[2] then next_ms = math.max(0, coming[2] - now) end
local answer = { 'ok', next_ms, #taken / 3 }
for _, part in ipairs(taken) do answer[#answer + 1] = part end
for _, part in ipairs(dropped) do answer[#answer + 1] = part end
return answer

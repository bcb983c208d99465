-- Tries every command that scripts run, and every kind of key, and leaves nothing behind.
-- Answers: ok, (command, key, what Redis said), ... of what is not allowed
-- KEYS: a hash, a sorted set, a list and a string of our own for the trial; then one key of each kind, for reading and
--       deleting. None of them exists.
local hash, sorted, list, text = unpack(KEYS)
local TRIALS = {
  { 'TYPE', hash }, { 'EXISTS', hash }, { 'HSET', hash, 'a', '1' }, { 'HSETNX', hash, 'a', '1' }, { 'HGET', hash, 'a' },
  { 'HMGET', hash, 'a' }, { 'HGETALL', hash }, { 'HVALS', hash }, { 'HDEL', hash, 'a' },
  { 'ZADD', sorted, '1', 'a' }, { 'ZSCORE', sorted, 'a' }, { 'ZRANGEBYSCORE', sorted, '0', '1' },
  { 'ZREVRANGE', sorted, '0', '-1' }, { 'ZREMRANGEBYSCORE', sorted, '5', '6' }, { 'ZREM', sorted, 'a' },
  { 'LPUSH', list, 'a' }, { 'RPUSH', list, 'a' }, { 'LINDEX', list, '0' }, { 'LRANGE', list, '0', '-1' },
  { 'LSET', list, '0', 'b' }, { 'LREM', list, '0', 'b' }, { 'LTRIM', list, '0', '5' },
  { 'SET', text, '1', 'PX', '60000' }, { 'GET', text }, { 'INCRBY', text, '1' }, { 'EXPIRE', text, '60' },
  { 'PSETEX', text, '60000', '1' }, { 'PTTL', text }, { 'PEXPIRE', text, '60000' }, { 'PERSIST', text },
  { 'DEL', hash }, { 'DEL', sorted }, { 'DEL', list }, { 'DEL', text }, { 'TIME' },
}
local answer = { 'ok' }
local function try(command)
  local result = redis.pcall(unpack(command))
  if type(result) ~= 'table' or not result.err then return nil end
  for _, passing in ipairs({ 'OOM ', 'READONLY ', 'MISCONF ', 'NOREPLICAS ', 'MASTERDOWN ', 'LOADING ' }) do
    if string.find(result.err, passing, 1, true) then return redis.error_reply(result.err) end
  end
  for _, part in ipairs({ command[1], command[2] or '', result.err }) do answer[#answer + 1] = part end
  return nil
end
for _, command in ipairs(TRIALS) do
  local passing = try(command)
  if passing then return passing end
end
for i = 5, #KEYS do
  local passing = try({ 'TYPE', KEYS[i] }) or try({ 'DEL', KEYS[i] })
  if passing then return passing end
end
return answer

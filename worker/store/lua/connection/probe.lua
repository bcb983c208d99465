-- Runs every command of the program on temporary keys (hash, sorted_set, list, text), reads and deletes a key of each kind
-- that the store uses (`kinds`), and leaves nothing behind. None of the keys exists.
-- Answers: ok, ((command, key, what Redis said), ...) of what is not allowed
local TRIALS = {
  { 'TYPE', hash }, { 'EXISTS', hash }, { 'HSET', hash, 'a', '1' }, { 'HSETNX', hash, 'a', '1' }, { 'HGET', hash, 'a' },
  { 'HMGET', hash, 'a' }, { 'HGETALL', hash }, { 'HVALS', hash }, { 'HKEYS', hash }, { 'HLEN', hash },
  { 'HEXISTS', hash, 'a' }, { 'HDEL', hash, 'a' },
  { 'ZADD', sorted_set, '1', 'a' }, { 'ZSCORE', sorted_set, 'a' }, { 'ZRANGEBYSCORE', sorted_set, '0', '1' },
  { 'ZREVRANGE', sorted_set, '0', '-1' }, { 'ZREVRANGEBYSCORE', sorted_set, '1', '0' },
  { 'ZREMRANGEBYSCORE', sorted_set, '5', '6' }, { 'ZREM', sorted_set, 'a' },
  { 'LPUSH', list, 'a' }, { 'RPUSH', list, 'a' }, { 'RPUSH', list, 'a' }, { 'LPOP', list }, { 'LINDEX', list, '0' }, { 'LRANGE', list, '0', '-1' },
  { 'LSET', list, '0', 'b' }, { 'LREM', list, '0', 'b' }, { 'LTRIM', list, '0', '5' },
  { 'SET', text, '1', 'PX', '60000' }, { 'GET', text }, { 'INCRBY', text, '1' }, { 'EXPIRE', text, '60' },
  { 'PSETEX', text, '60000', '1' }, { 'PTTL', text }, { 'PEXPIRE', text, '60000' }, { 'PERSIST', text },
  { 'DEL', hash }, { 'DEL', sorted_set }, { 'DEL', list }, { 'DEL', text }, { 'TIME' },
}
local denied = {}
local function try(command)
  local result = redis.pcall(unpack(command))
  if type(result) ~= 'table' or not result.err then return nil end
  for _, passing in ipairs({ 'OOM ', 'READONLY ', 'MISCONF ', 'NOREPLICAS ', 'MASTERDOWN ', 'LOADING ' }) do
    if string.find(result.err, passing, 1, true) then return redis.error_reply(result.err) end
  end
  append(denied, { command[1], command[2] or '', result.err })
  return nil
end
for _, command in ipairs(TRIALS) do
  local passing = try(command)
  if passing then return passing end
end
for _, key in ipairs(kinds) do
  local passing = try({ 'TYPE', key }) or try({ 'DEL', key })
  if passing then return passing end
end
return { 'ok', denied }

-- A walk's checkpoint: cursor and statistics together, and with them, if asked, the hand-over to the next job.
-- Answers: ok | applied (this very commit had arrived before) | stale, state, epoch
-- KEYS: sync, queue, due, wake, aggregate
-- ARGV: id, epoch, holder, seq, token, move (stay, walk, finalize), cursor, guard, pages, profiles, complete,
--       trouble ms, note, statistics, stall ms, delay ms, job id, job
local sync, queue, due, wake, aggregate = unpack(KEYS)
local id, epoch, holder, seq, token, move, cursor, guard, pages, profiles, complete = unpack(ARGV, 1, 11)
local trouble_ms, note, statistics, stall_ms, delay_ms, job_id, job = unpack(ARGV, 12, 18)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset', wake, 'list', aggregate, 'string')
if broken then return broken end
if redis.call('HGET', sync, 'token') == token then return { 'applied' } end
local refused = stale(sync, 'fetching', epoch, holder)
if refused then return refused end
local before = redis.call('HMGET', sync, 'seq', 'pages', 'fetched_at')
if before[1] ~= seq then return { 'stale', 'fetching', epoch } end

local now = now_ms()
redis.call('HSET', sync, 'seq', int(seq + 1), 'token', token, 'cursor', cursor, 'guard', guard, 'pages', pages,
  'profiles', profiles, 'complete', complete, 'trouble_ms', trouble_ms, 'note', note)
redis.call('SET', aggregate, statistics)
if tonumber(pages) > tonumber(before[2]) then redis.call('HSET', sync, 'revivals', '0') end
if move ~= 'stay' then
  redis.call('HSET', sync, 'epoch', int(epoch + 1), 'holder', '')
  if move == 'finalize' then
    redis.call('HSET', sync, 'state', 'finalizing', 'fetched_at', before[3] or int(now), 'revivals', '0')
  end
  set_job(sync, queue, wake, job_id, job, tonumber(delay_ms), now)
end
redis.call('ZADD', due, int(now + stall_ms + delay_ms), id)
return { 'ok' }

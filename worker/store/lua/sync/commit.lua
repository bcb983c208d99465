-- A walk's checkpoint: cursor and statistics together, and with them, if asked, the hand-over to the next job.
-- Answers: ok | applied (this very commit had arrived before) | stale, state, epoch
-- KEYS: sync, queue, due, wake, outcomes
-- ARGV: id, epoch, holder, seq, token, move (stay, walk, finalize), cursor, guard, pages, profiles, complete,
--       trouble ms, note, statistics, stall ms, delay ms, job id, job
local sync, queue, due, wake, outcomes = unpack(KEYS)
local id, epoch, holder, seq, token, move, cursor, guard, pages, profiles, complete = unpack(ARGV, 1, 11)
local trouble_ms, note, statistics, stall_ms, delay_ms, job_id, job = unpack(ARGV, 12, 18)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset', wake, 'list', outcomes, 'hash')
if broken then return broken end
if redis.call('HGET', sync, 'token') == token then return { 'applied' } end
local refused = stale(sync, 'fetching', epoch, holder)
if refused then return refused end
local before = redis.call('HMGET', sync, 'seq', 'pages', 'revivals', 'job')
if before[1] ~= seq then return { 'stale', 'fetching', epoch } end

local now = now_ms()
local revivals = before[3]
if tonumber(pages) > tonumber(before[2]) or move == 'finalize' then revivals = '0' end
local state, next_epoch, next_holder, next_job, fetched_at = 'fetching', epoch, holder, before[4], ''
if move ~= 'stay' then next_epoch, next_holder, next_job = int(epoch + 1), '', job_id end
if move == 'finalize' then state, fetched_at = 'finalizing', int(now) end
redis.call('HSET', sync, 'state', state, 'epoch', next_epoch, 'holder', next_holder, 'job', next_job,
  'seq', int(seq + 1), 'token', token, 'cursor', cursor, 'guard', guard, 'pages', pages, 'profiles', profiles,
  'complete', complete, 'aggregate', statistics, 'revivals', revivals, 'trouble_ms', trouble_ms, 'note', note,
  'fetched_at', fetched_at)
-- What is there by now was recorded late, by a job from before a restart, from statistics of that time.
if move == 'finalize' then redis.call('DEL', outcomes) end
if move ~= 'stay' then set_job(queue, wake, before[4], job_id, job, tonumber(delay_ms), now) end
redis.call('ZADD', due, int(now + stall_ms + delay_ms), id)
return { 'ok' }

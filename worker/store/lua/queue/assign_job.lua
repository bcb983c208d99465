-- Moves a job of the common queue to the queue of the account to which its sync belongs. A sync without an account belongs to
-- `account` from then on; if that is '', too, the job moves to the queue of `other`, whose worker fails the sync; the sync notes
-- that, so that the watchdog finds its job.
-- Answers: ok | stays (the job is not in the common queue any more, or a worker must first replace the account's queue)
local score = redis.call('ZSCORE', common, job_id)
if not score then return { 'stays' } end
local is_sync = redis.call('TYPE', sync).ok == 'hash'
local found = is_sync and redis.call('HGET', sync, 'owner') or ''
local owner = found ~= '' and found or account
local holder = owner ~= '' and owner or other
local its_queue, its_wake = queue_of(holder), wake_of(holder)
if types(its_queue, 'zset') then return { 'stays' } end
if is_sync and owner ~= found then redis.call('HSET', sync, 'owner', owner) end
if is_sync and owner == '' then redis.call('HSET', sync, 'job_account', holder) end
redis.call('ZADD', its_queue, score, job_id)
redis.call('ZREM', common, job_id)
if not types(its_wake, 'list') then wake_one(its_wake) end
return { 'ok' }

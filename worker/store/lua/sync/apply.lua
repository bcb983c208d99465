-- A completed preview goes on to its personas, with the request that says so.
-- Answers: ok | busy, id (another sync of the same space runs) | changed (someone else moved it meanwhile) | gone
-- KEYS: sync, queue, due, wake, outcomes, active
-- ARGV: id, epoch, request, accepted, stall ms, job id, job, account of the sync
local sync, queue, due, wake, outcomes, active = unpack(KEYS)
local id, epoch, request, accepted, stall_ms, job_id, job, account = unpack(ARGV)

local broken = types(sync, 'hash', queue, 'zset', due, 'zset', wake, 'list', outcomes, 'hash', active, 'zset')
if broken then return broken end
local found = redis.call('HMGET', sync, 'state', 'epoch', 'asked')
if not found[1] then return { 'gone' } end
if found[1] ~= 'completed' or found[2] ~= epoch then return { 'changed' } end
local running = under_way(active, request, account)
if running then return { 'busy', running } end

local now = now_ms()
redis.call('ZADD', due, int(now + stall_ms), id)
redis.call('HSET', sync, 'state', 'finalizing', 'epoch', int(epoch + 1), 'holder', '', 'job', job_id,
  'request', request, 'accepted', accepted, 'revivals', '0', 'trouble_ms', '0', 'lookup', '', 'note', '', 'finished_at', '',
  'applied_at', int(now))
set_job(queue, wake, nil, job_id, job, 0, now)
redis.call('ZADD', active, int(now), id)
persist(sync, outcomes, found[3])
return { 'ok' }

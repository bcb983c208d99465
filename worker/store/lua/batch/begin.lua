-- A job begins an attempt at a batch; an attempt is begun once.
-- Answers: ok, request, started at ms, work, trouble ms, (epoch, token, pages, profiles, statistics) | stale, state, epoch
local batch, at = own_batch(sync, key, nil)
if not batch then return at end
if batch.holder ~= '-' and batch.holder ~= holder then return { 'stale', at.state, at.epoch } end

batch.holder = holder
set_slot(sync, key.slot, batch, at)
watch(due, batch_due(key.sync_id, key.slot), now_ms(), stall_ms)
local found = redis.call('HMGET', sync, 'request', 'started_at', 'counted', 'pages', 'profiles', 'aggregate')
return { 'ok', found[1], found[2], batch.work, int(batch.trouble_ms),
  { at.epoch, found[3] or '', found[4], found[5], found[6] } }

-- Fan-out: the look-ahead of a sync is a fixed number of slots (SLOTS, in keys.py), fields of the sync's hash, so that one
-- HSET can fill and empty them together with everything else. A slot is '' or the text of one attempt at a batch:
-- `number attempt lost holder trouble_ms work`, where `lost` counts the attempts that fell silent, `holder` is `-` until a
-- job has begun the attempt, and `work` is opaque here. `BatchKey.read` in models/sync.py reads the first two. A key of a
-- batch is a table { sync_id, slot, number, attempt }.

local ROOM = SLOTS / 4 -- free slots needed before a listing that ran out of slots continues

-- The batch that a slot's text holds; nil if the slot is free.
local function parse_batch(text)
  if not text or text == '' then return nil end
  local number, attempt, lost, holder, trouble_ms, work = string.match(text, '^(%d+) (%d+) (%d+) (%S+) (%d+) (.*)$')
  return { number = tonumber(number), attempt = tonumber(attempt), lost = tonumber(lost), holder = holder,
    trouble_ms = tonumber(trouble_ms), work = work }
end

local function batch_text(batch)
  return table.concat({ int(batch.number), int(batch.attempt), int(batch.lost), batch.holder, int(batch.trouble_ms),
    batch.work }, ' ')
end

local function batch_job(id, slot, batch)
  return table.concat({ id, 'batch', int(slot), int(batch.number), int(batch.attempt) }, ':')
end

-- The member of `due` that watches a slot; no id of a sync contains a space.
local function batch_due(id, slot)
  return id .. ' ' .. int(slot)
end

-- The outstanding batches of a sync: slot -> batch; and the number of free slots.
local function outstanding(sync)
  local names = {}
  for slot = 0, SLOTS - 1 do names[#names + 1] = 'slot:' .. slot end
  local found, free = {}, 0
  for i, text in ipairs(redis.call('HMGET', sync, unpack(names))) do
    found[i - 1] = parse_batch(text)
    if not found[i - 1] then free = free + 1 end
  end
  return found, free
end

-- What follows when no fetch job lists pages: `finalize`; `walk`, the next fetch job; or `park`: the batch that makes room
-- for a fetch job, or is the last one, starts what follows. listed: '1' if the listing has ended.
local function what_follows(listed, free)
  if listed == '1' then return free == SLOTS and 'finalize' or 'park' end
  return free >= ROOM and 'walk' or 'park'
end

-- The batch of `key` with the sync's state, epoch and holder if this attempt is still the sync's and `holder` has begun it
-- (nil: any holder); else nil and the answer `stale`.
local function own_batch(sync, key, holder)
  local found = redis.call('HMGET', sync, 'state', 'epoch', 'holder', 'slot:' .. int(key.slot))
  local batch = parse_batch(found[4])
  if found[1] == 'fetching' and batch and batch.number == key.number and batch.attempt == key.attempt
    and (batch.holder == holder or holder == nil) then
    return batch, { state = found[1], epoch = found[2], holder = found[3] }
  end
  return nil, { 'stale', found[1] or 'gone', found[2] or '' }
end

-- Writes a slot (nil frees it), and names the sync's state in the same write, see frame.lua.
local function set_slot(sync, slot, batch, at, ...)
  redis.call('HSET', sync, 'state', at.state, 'epoch', at.epoch, 'holder', at.holder, 'slot:' .. int(slot),
    batch and batch_text(batch) or '', ...)
end

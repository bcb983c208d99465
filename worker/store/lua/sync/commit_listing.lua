-- Writes the checkpoint of a fan-out's fetch job: how far the listing is, and the new batches up to there with a job each.
-- following: the jobs that can follow if this job leaves (nil: it stays); which of them, if any, is decided here.
-- Answers: ok, (free slot, ...), also if this very commit had arrived before | stale, state, epoch | conflict, message
local refused, before = check_commit(sync, lease, token, listing.seq, 'pages_listed')
if refused and refused[1] ~= 'applied' then return refused end
local taken, free = outstanding(sync)
if not refused then
  for _, new in ipairs(batches) do
    -- Only this job fills slots, so a slot that was free still is; but nothing may be overwritten.
    if taken[new.key.slot] then return { 'conflict', 'slot ' .. int(new.key.slot) .. ' already holds a batch' } end
    taken[new.key.slot] = { number = new.key.number, attempt = 1, lost = 0, holder = '-', trouble_ms = 0, work = new.work }
    free = free - 1
  end

  local now = now_ms()
  local listed = flag(listing.ended)
  local follows = following and what_follows(listed, free) or 'stay'
  local more = { 'pages_listed', int(listing.pages), 'profiles_listed', int(listing.profiles), 'listed', listed,
    'parked', follows == 'park' and '1' or '', 'batches', int(listing.batches) }
  for _, new in ipairs(batches) do
    append(more, 'slot:' .. int(new.key.slot), batch_text(taken[new.key.slot]))
    watch(due, batch_due(lease.sync_id, new.key.slot), now, stall_ms)
  end
  local at = { sync = sync, queue = queue, due = due, wake = wake, outcomes = outcomes }
  local job = following and following[follows] or nil
  write_commit(at, lease, token, note, listing, before, follows, job, follows == 'walk' and delay_ms or 0, stall_ms, now,
    more)
  for _, new in ipairs(batches) do set_job(queue, wake, nil, new.payload, 0, now) end
end
local free_slots = {}
for slot = 0, SLOTS - 1 do
  if not taken[slot] then append(free_slots, slot) end
end
return { 'ok', free_slots }

-- Reserves one slot of a rate limit, and notes what an answer of the API said of that limit.
-- The slot is the earliest time that is not before: now, the slot before, `not_before`, one gap after `last` (less what a
-- burst may exceed the pace by), and one `span` after the slot that is `count` slots back. All times are microseconds of
-- Redis' clock.
-- A `last` further ahead than any slot can be is from before the clock was set back: all times are moved back by as much.
-- most: requests in a window; 0: the gap alone is the limit. margin: in thousandths. near_us: how far ahead a slot may be.
-- unused_us: a slot to give back; 0: none. heard: the limit that the API named, for `valid_us`; 0: none. pause_us: time for
-- which no request is sent.
-- Answers: ok, microseconds until the slot, slot | refused, microseconds until the slot (nothing was reserved)
local FURTHEST_US, KEPT_MS = 2000000, 600000

local now = now_us()
local state = redis.call('HMGET', limit, 'last', 'not_before', 'added', 'widened', 'named', 'named_until')
local last, not_before = tonumber(state[1]), tonumber(state[2] or 0)
local widened, named, named_until = tonumber(state[4] or 0), tonumber(state[5] or 0), tonumber(state[6] or 0)

local set_back = 0
if last and last - now > FURTHEST_US + gap_us then
  set_back = last - now
  last, not_before = now, not_before - set_back
  widened, named_until = widened - set_back, named_until - set_back
end
local news = set_back > 0 or unused_us > 0 or pause_us > 0
not_before = math.max(0, not_before, pause_us > 0 and now + pause_us or 0)
if named_until <= now then named = 0 end
if heard > 0 and (named == 0 or heard <= named) then
  named, named_until, news = heard, now + valid_us, true
end

local allowed, count, span = named > 0 and math.min(most, named) or most, 0, 0
if allowed > 0 then
  count, span = math.max(1, math.floor(allowed)), window_us
  allowed = allowed * (1000 - margin_now(margin, state[3], widened, quiet_us, now)) / 1000
  if paced then
    gap_us = math.max(gap_us, math.ceil(window_us / allowed))
    span = gap_us * count
  else
    count = math.max(1, math.floor(allowed))
  end
end

local function write()
  local kept_ms = int(math.ceil((math.max(last or now, not_before, named_until) - now + 2 * math.max(span, window_us)) / 1000) + KEPT_MS)
  redis.call('HSET', limit, 'last', int(last or now - gap_us), 'not_before', int(not_before), 'widened', int(widened),
    'named', int(named), 'named_until', int(math.max(0, named_until)))
  redis.call('PEXPIRE', limit, kept_ms)
  return kept_ms
end

if news then write() end
if set_back > 0 then
  for i, slot in ipairs(redis.call('LRANGE', log, 0, -1)) do
    redis.call('LSET', log, i - 1, int(math.max(0, slot - set_back)))
  end
  unused_us = unused_us > 0 and math.max(0, unused_us - set_back) or 0
end
if unused_us > 0 then
  local logged = redis.call('LREM', log, -1, int(unused_us)) == 1
  if last == unused_us or (paced and logged) then
    -- An idle time after the unused slot has made up for it already: the slots that are left say how far `last` has to be.
    local paced_until = 0
    for _, slot in ipairs(redis.call('LRANGE', log, 0, -1)) do
      paced_until = math.max(tonumber(slot), paced_until + gap_us)
    end
    last = math.max(last - gap_us, paced_until)
  end
end

-- After a pause that the API asked for, nothing is made up for. A refusal must not write this as `last`: it would look as if
-- the clock had been set back.
local before = last
if (last or 0) < not_before then before = not_before + burst_us - gap_us end
local first = math.max(now, not_before)
if before then first = math.max(first, before + gap_us - burst_us) end
if count > 0 then
  first = math.max(first, tonumber(redis.call('LINDEX', log, -1) or 0))
  local back = redis.call('LINDEX', log, -count)
  if back then first = math.max(first, back + span) end
end
if first - now > near_us then
  if unused_us > 0 then write() end
  return { 'refused', first - now }
end

last = before and math.max(first, before + gap_us) or first
local kept_ms = write()
if count > 0 then
  redis.call('RPUSH', log, int(first))
  for _ = 1, 2 do
    if tonumber(redis.call('LINDEX', log, 0)) < now - 2 * math.max(span, window_us) then redis.call('LTRIM', log, 1, -1) end
  end
  redis.call('PEXPIRE', log, kept_ms)
end
return { 'ok', first - now, int(first) }

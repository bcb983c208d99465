-- Reserves the next slots of a rate limit. Answers:
-- ok, now, first slot, gap, slots, limit that the API named (0: none), 1 if others reserve as well
-- refused (the first slot is more than `near us` away; nothing was reserved), now, first slot
-- A slot follows the last by `gap us`. `most` in any `window us` are allowed, less the margin: spread evenly (paced 1),
-- or so that of any so many + 1 slots the last comes at least a window after the first. Times are us of Redis' clock.
-- A slot further ahead than any is reserved is from before the clock of Redis was set back: then all times are moved back
-- by as much, as if the last slot were now.
-- KEYS: limit, log
-- ARGV: caller, slots wanted, most (0: the gap alone is the limit), paced, margin per mille, span us, gap us, window us,
--       quiet us, near us
local limit, log = unpack(KEYS)
local caller, wanted = ARGV[1], tonumber(ARGV[2])
local most, paced, margin = tonumber(ARGV[3]), ARGV[4] == '1', tonumber(ARGV[5])
local span, gap, window = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local quiet, near = tonumber(ARGV[9]), tonumber(ARGV[10])
local SHARED_US, KEPT_MS, FURTHEST_US = 2000000, 600000, 2000000
-- Slots that are kept at least: other callers may know a higher limit, and count more of them.
local LONGEST_LOG = 600

local broken = types(limit, 'hash', log, 'list')
if broken then return broken end
local now = now_us()
local state = redis.call('HMGET', limit, 'last', 'not_before', 'added', 'widened', 'named', 'named_until', 'caller', 'shared')
local last, not_before = tonumber(state[1] or 0), tonumber(state[2] or 0)
local set_back = last - now
if set_back > FURTHEST_US + gap + span then
  local function back(time) return time and int(math.max(0, tonumber(time) - set_back)) end
  last, not_before = now, math.max(0, not_before - set_back)
  state[4], state[6], state[8] = back(state[4]), back(state[6]), back(state[8])
  local moved = { 'last', int(last), 'not_before', int(not_before) }
  for i, name in pairs({ [4] = 'widened', [6] = 'named_until', [8] = 'shared' }) do
    if state[i] then
      moved[#moved + 1] = name
      moved[#moved + 1] = state[i]
    end
  end
  redis.call('HSET', limit, unpack(moved))
  for i, slot in ipairs(redis.call('LRANGE', log, 0, -1)) do redis.call('LSET', log, i - 1, back(slot)) end
end
local named = tonumber(state[6] or 0) > now and tonumber(state[5]) or 0

local allowed, at_once = named > 0 and math.min(most, named) or most, 0
if allowed > 0 then
  allowed = allowed * (1000 - margin_now(margin, state[3], state[4], quiet, now)) / 1000
  if paced then
    gap = math.max(gap, math.ceil(window / allowed))
  else
    at_once = math.max(1, math.floor(allowed))
  end
end
local first = math.max(now, not_before)
if state[1] then first = math.max(first, last + gap) end
if at_once > 0 then
  local oldest = redis.call('LINDEX', log, -at_once)
  if oldest then first = math.max(first, oldest + window) end
end
if first - now > near then return { 'refused', now, first } end

local slots = math.max(1, math.min(wanted, math.floor(span / math.max(gap, 1))))
local shared = tonumber(state[8] or 0)
if state[7] and state[7] ~= caller and last > now - SHARED_US then shared = now end
last = first + (slots - 1) * gap
local kept_ms = int(math.ceil((last - now + window) / 1000) + KEPT_MS)
redis.call('HSET', limit, 'last', int(last), 'caller', caller, 'shared', int(shared))
redis.call('PEXPIRE', limit, kept_ms)
if at_once > 0 then
  for i = 0, slots - 1 do redis.call('RPUSH', log, int(first + i * gap)) end
  redis.call('LTRIM', log, -math.max(math.ceil(most), LONGEST_LOG), -1)
  redis.call('PEXPIRE', log, kept_ms)
end
return { 'ok', now, first, gap, slots, named, shared > now - SHARED_US and 1 or 0 }

-- What every script shares; SLOTS and PREFIX come before this. Keys are documented in keys.py; PREFIX precedes each. No
-- script touches the key ''.
--
-- Redis has no rollback. So a script checks everything before it writes: the generated header checks the types of its keys,
-- and the script its own conditions. Its first write is one that Redis refuses as a whole when out of memory.
--
-- Redis does not always keep a script whole either: a server that lost the end of its append-only file within a transaction
-- and was restarted twice has been seen to apply the first writes of the transaction only. So all that a script changes of a
-- sync is one HSET, which names state, epoch and holder each time; a sync that starts to run is made due before that; and
-- everything after the HSET can be restored from it: the job by the watchdog, the rest when a job begins.

local JOB, IN_PROGRESS, RETRY = PREFIX .. 'arq:job:', PREFIX .. 'arq:in-progress:', PREFIX .. 'arq:retry:'
local SYNC, ACTIVE, ALL_SYNCS = PREFIX .. 'sp:sync:', PREFIX .. 'sp:active:', PREFIX .. 'sp:syncs'

-- Milliseconds since the epoch by the clock of Redis.
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Microseconds since the epoch by the clock of Redis.
local function now_us()
  local time = redis.call('TIME')
  return time[1] * 1000000 + time[2]
end

-- The decimal digits of a whole number; Lua itself writes large ones as 1e+15.
local function int(number)
  return string.format('%.0f', number)
end

-- Returns a boolean as stored.
local function flag(value)
  return value and '1' or '0'
end

-- Adds values to the end of a list.
local function append(list, ...)
  for i = 1, select('#', ...) do list[#list + 1] = (select(i, ...)) end
end

-- Notes at the hash `clock` when a sorted set of times is looked at. If the clock was set back since the last look, all that
-- lies ahead is due now. Returns the members whose time was moved.
local function note_look(times, clock, now)
  local UNNOTICED_MS = 2000
  local before = tonumber(redis.call('HGET', clock, times) or '0') or 0
  local moved = before - now > UNNOTICED_MS and redis.call('ZRANGEBYSCORE', times, '(' .. int(now), '+inf') or {}
  for _, member in ipairs(moved) do redis.call('ZADD', times, int(now), member) end
  redis.call('HSET', clock, times, int(now))
  return moved
end

-- Checks the types of keys before a script writes them. Takes key, type, key, type, ... Returns nil, or the answer
-- `broken`, text if a key holds another type.
local function types(...)
  local pairs_ = { ... }
  for i = 1, #pairs_, 2 do
    local names = pairs_[i]
    for _, key in ipairs(type(names) == 'table' and names or { names }) do
      local found = redis.call('TYPE', key).ok
      if found ~= 'none' and found ~= pairs_[i + 1] then
        return { 'broken', key .. ' holds a ' .. found .. ', not a ' .. pairs_[i + 1] }
      end
    end
  end
  return nil
end

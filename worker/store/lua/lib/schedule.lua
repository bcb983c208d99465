-- Schedules: the sorted set of their ticks is an index of the field `next` of each; list_due repairs it.

local SCHEDULE = PREFIX .. 'sp:schedule:'

-- Enters the next tick of a schedule; nil: none comes.
local function move_tick(ticks, id, next_ms)
  if next_ms then redis.call('ZADD', ticks, int(next_ms), id) else redis.call('ZREM', ticks, id) end
end

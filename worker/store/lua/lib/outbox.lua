-- The outbox of an account: events that its workers with WEBHOOK_URL deliver. Such workers keep the hash `sp:webhooks`;
-- without it no event is recorded. A script that changes a state records the event, whose id follows from that change: if
-- the script comes again, so does the same event. An event is a hash; of a sync it has copies of the sync's hashes as they
-- were at that moment.

local EVENT, OUTBOX, WEBHOOKS = PREFIX .. 'sp:event:', PREFIX .. 'sp:outbox', PREFIX .. 'sp:webhooks'
local EVENT_LIFETIME_MS = 3 * 86400000
local MOST_EVENTS = 1000

local function of_account(key, account)
  return key .. (account == '' and '' or ':' .. account)
end

-- Whether events of an account are delivered.
local function wants_events(account)
  local webhooks = of_account(WEBHOOKS, account)
  return redis.call('EXISTS', webhooks) == 1 and types(webhooks, 'hash', of_account(OUTBOX, account), 'zset') == nil
end

-- The id of the event of a change: `entity` names what has changed, `change` which of its changes. No id contains a dot.
local function event_id(entity, change)
  return 'evt_' .. string.gsub(entity, '[^%w_-]', function(char) return string.format('~%02x', string.byte(char)) end)
    .. '_' .. change
end

local function copy_hash(from, to)
  if redis.call('TYPE', from).ok ~= 'hash' then return end
  local all = redis.call('HGETALL', from)
  for first = 1, #all, 200 do redis.call('HSET', to, unpack(all, first, math.min(first + 199, #all))) end
  redis.call('PEXPIRE', to, int(EVENT_LIFETIME_MS))
end

-- Removes an event. lost: why it was not delivered; nil if it was. An event that is gone already is not counted again.
local function drop_event(webhooks, outbox, id, lost, now)
  if lost and redis.call('ZSCORE', outbox, id) then
    local before = tonumber(redis.call('HGET', webhooks, 'lost') or '0') or 0
    redis.call('HSET', webhooks, 'lost', int(before + 1), 'error', lost, 'error_at', int(now))
  end
  redis.call('ZREM', outbox, id)
  redis.call('DEL', EVENT .. id, EVENT .. id .. ':sync', EVENT .. id .. ':outcomes')
end

-- Records an event; `wants_events` has said yes. kind: `sync`, whose type follows from the copy of `sync`, or the event's
-- type with its `document`. An outbox that is full loses the event whose next attempt is furthest away.
local function record_event(account, id, kind, document, sync, now)
  local event, outbox, webhooks = EVENT .. id, of_account(OUTBOX, account), of_account(WEBHOOKS, account)
  if types(event, 'hash', event .. ':sync', 'hash', event .. ':outcomes', 'hash') then return end
  if sync then
    copy_hash(sync, event .. ':sync')
    copy_hash(sync .. ':outcomes', event .. ':outcomes')
  end
  redis.call('HSET', event, 'kind', kind, 'document', document, 'at', int(now), 'attempts', '0', 'first_at', '')
  redis.call('PEXPIRE', event, int(EVENT_LIFETIME_MS))
  if redis.call('ZREVRANGE', outbox, MOST_EVENTS - 1, MOST_EVENTS - 1)[1] then
    local last = redis.call('ZREVRANGE', outbox, 0, 0)[1]
    drop_event(webhooks, outbox, last, 'more than ' .. int(MOST_EVENTS) .. ' events wait', now)
  end
  redis.call('ZADD', outbox, int(now), id)
end

-- The API refused a request: no request is sent within `wait_us` from now, and the margin (in thousandths) is wider for a while: by
-- 2 % of the limit, then by twice as much as before, up to half of the limit. The refusals of one moment widen it once.
-- Answers: ok
local STEP, WIDEST, ONE_MOMENT_US, KEPT_MS = 20, 500, 1000000, 600000

local now = now_us()
local state = redis.call('HMGET', limit, 'not_before', 'added', 'widened')
local not_before, widened = tonumber(state[1] or 0), tonumber(state[3] or 0)
local news = {}
if not_before < now + wait_us then news = { 'not_before', int(now + wait_us) } end
if now >= not_before and now - widened >= ONE_MOMENT_US then
  local added = margin_now(margin, state[2], state[3], quiet_us, now) - margin
  added = math.min(math.max(STEP, 2 * added), math.max(0, WIDEST - margin))
  append(news, 'added', int(added), 'widened', int(now))
end
if #news > 0 then
  redis.call('HSET', limit, unpack(news))
  local kept_ms = math.ceil(wait_us / 1000) + KEPT_MS
  if redis.call('PTTL', limit) < kept_ms then redis.call('PEXPIRE', limit, kept_ms) end
end
return { 'ok' }

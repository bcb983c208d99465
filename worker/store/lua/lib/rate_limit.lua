-- The margin of a rate limit that is in force, in thousandths: what was added after refusals is halved with every quiet
-- time since.
local function margin_now(margin, added, widened, quiet_us, now)
  if not added or not widened then return margin end
  local halvings = math.max(0, math.floor((now - widened) / quiet_us))
  return margin + math.floor(added / 2 ^ math.min(halvings, 50))
end

// The schedules: which syncs the workers start at set times.

import { get } from "../api.js";
import { h, table } from "../dom.js";
import { time } from "../formats.js";

/** Shows the schedules. */
export async function showSchedules(view, { signal }) {
  const { data } = await get("/v1/schedules", signal);
  view.append(
    h("h1", {}, "Schedules"),
    data.length === 0
      ? h("p", { class: "empty" }, "There are no schedules. The command schedule add makes one.")
      : table("Schedules, in UTC unless the time zone says otherwise", ["Space", "When", "Time zone", "State", "Next", "Last sync"], data.map(row)),
  );
}

function row(one) {
  if (one.error) return [h("code", {}, one.schedule_id), "–", "–", one.error.message, "–", "–"];
  const last = one.last_sync_id && h("a", { href: `#/syncs/${encodeURIComponent(one.last_sync_id)}` }, time(one.last_tick));
  return [one.space_id, h("code", {}, one.cron), one.timezone, one.paused ? "Paused" : "Active", time(one.next[0]), last || one.last_result || "–"];
}

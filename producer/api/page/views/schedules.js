// The schedules: which syncs the workers start at set times. They are added, paused and deleted here.

import { get, pause, post, Problem, remove } from "../api.js";
import { announce, h, Part, problemBox, table } from "../dom.js";
import { count, time, zonedTime } from "../formats.js";
import { ask } from "../sections/dialog.js";

const REFRESH_MS = 5000;
const RESULTS = { started: "Started", followed: "A sync was already running", waiting: "Waits for the previous sync", skipped: "Skipped" };

/** Shows the schedules until the signal aborts. */
export async function showSchedules(view, { signal, fail }) {
  const problems = h("div");
  const list = new Part(h("div"), (schedules) => drawList(schedules, act, askToDelete));
  const refresh = async () => list.show((await get("/v1/schedules", signal)).data);
  const trouble = (error) => {
    if (signal.aborted) return;
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) fail(error);
    else problems.replaceChildren(problemBox(error.document));
  };

  async function act(work, text) {
    problems.replaceChildren();
    await work().then(refresh).then(() => announce(text)).catch(trouble);
  }

  function askToDelete(one) {
    const question = {
      title: `Delete the schedule of ${one.space_id ?? one.schedule_id}?`,
      text: "Its syncs and personas are kept.",
      label: "Delete schedule",
      danger: true,
      run: () => remove(pathOf(one)),
    };
    ask(view, question, () => refresh().catch(trouble), (problem) => problem.status === 401 && fail(problem));
  }

  await refresh();
  view.append(h("h1", {}, "Schedules"), addForm(refresh), h("section", { "aria-labelledby": "list-title" },
    h("h2", { id: "list-title" }, "All schedules"), problems, list.element));
  keepFresh();

  async function keepFresh() {
    for (;;) {
      await pause(REFRESH_MS, signal);
      if (signal.aborted) return;
      if (!document.hidden) await refresh().catch(trouble);
    }
  }
}

const pathOf = (one, action = "") => `/v1/schedules/${encodeURIComponent(one.schedule_id)}${action}`;

function drawList(schedules, act, askToDelete) {
  if (schedules.length === 0) return h("p", { class: "empty" }, "There are no schedules yet.");
  const rows = schedules.map((one) => {
    const drop = h("button", { type: "button", class: "quiet", id: `delete-${one.schedule_id}`, "aria-label": `Delete ${one.space_id ?? one.schedule_id}`, onclick: () => askToDelete(one) }, "Delete");
    if (one.error) return [h("code", {}, one.schedule_id), one.error.message, "–", "–", drop];
    const [action, text] = one.paused ? ["unpause", "Unpause"] : ["pause", "Pause"];
    const toggle = h("button", { type: "button", class: "quiet", id: `pause-${one.schedule_id}`, "aria-label": `${text} ${one.space_id}`,
      onclick: () => act(() => post(pathOf(one, `/${action}`)), `${one.space_id}: ${one.paused ? "active" : "paused"}`) }, text);
    return [
      one.space_id,
      [h("code", {}, one.cron), ` ${one.timezone}`, one.options.max_credits !== undefined && h("span", { class: "hint" }, ` · at most ${count(one.options.max_credits)} credits`)],
      [one.overdue && h("span", { class: "badge failed" }, "Overdue"), one.paused ? h("span", { class: "badge" }, "Paused") : zonedTime(one.next[0])],
      one.last_sync_id ? h("a", { href: `#/syncs/${encodeURIComponent(one.last_sync_id)}` }, time(one.last_tick)) : RESULTS[one.last_result] ?? "–",
      h("span", { class: "row" }, toggle, drop),
    ];
  });
  return table("Schedules, newest first", ["Space", "When", "Next", "Last", "Actions"], rows, { class: "schedules" });
}

function addForm(refresh) {
  const field = (id, label, attributes, grow = "") => {
    const input = h("input", { id, autocomplete: "off", spellcheck: "false", required: true, ...attributes });
    return [input, h("div", { class: `field ${grow}` }, h("label", { for: id }, label), input)];
  };
  const [space, spaceField] = field("space", "Space id", { maxlength: "128" }, "grow");
  const [cron, cronField] = field("cron", "Times (cron)", { value: "0 3 * * *", maxlength: "200" });
  const [zone, zoneField] = field("zone", "Time zone", { value: Intl.DateTimeFormat().resolvedOptions().timeZone || "UTC", maxlength: "100" });
  const [budget, budgetField] = field("budget", "Credits for each sync, at most", { type: "number", min: "0", step: "1", value: "0", inputmode: "numeric" });
  const problems = h("div");
  const submit = async (event) => {
    event.preventDefault();
    problems.replaceChildren();
    const body = { space_id: space.value.trim(), cron: cron.value.trim(), timezone: zone.value.trim(), max_credits: Number(budget.value) };
    try {
      const added = await post("/v1/schedules", body);
      await refresh();
      announce(`${added.space_id}: scheduled`);
      space.value = "";
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problems.replaceChildren(problemBox(error.document));
    }
  };
  return h("section", { class: "card", "aria-labelledby": "add-title" },
    h("h2", { id: "add-title" }, "Add a schedule"),
    h("p", { class: "hint" }, "Workers start a sync at these times. Each sync updates personas for free, and creates new ones within its budget."),
    h("form", { class: "row", onsubmit: submit }, spaceField, cronField, zoneField, budgetField, h("button", { class: "primary" }, "Add schedule")),
    problems);
}

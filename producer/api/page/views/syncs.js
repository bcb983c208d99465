// The list of syncs: filtered, live, and with the form that starts a preview.

import { get, pause, post, Problem } from "../api.js";
import { announce, h, Part, problemBox, table } from "../dom.js";
import { count, duration, stateText, STATES, time } from "../formats.js";

const REFRESH_MS = 3000;
const LIMIT = 20;

/** Shows the list until the signal aborts. */
export async function showSyncs(view, { signal, fail }) {
  const filter = { space: "", state: "" };
  const space = h("input", { id: "filter-space", type: "search", autocomplete: "off", spellcheck: "false" });
  const state = h("select", { id: "filter-state" }, h("option", { value: "" }, "Any state"),
    STATES.map((name) => h("option", { value: name }, stateText(name))));
  const problems = h("div");
  const list = new Part(h("div", { id: "syncs" }), drawList);
  const more = h("button", { type: "button", class: "quiet", hidden: true }, "Older syncs");
  const older = { data: [], cursor: null };
  let latest = { data: [], next_cursor: null };

  const query = (cursor) => {
    const found = new URLSearchParams({ limit: String(LIMIT) });
    if (filter.space) found.set("space_id", filter.space);
    if (filter.state) found.set("state", filter.state);
    if (cursor) found.set("cursor", cursor);
    return `/v1/syncs?${found}`;
  };
  const draw = () => {
    const known = new Set(latest.data.map((one) => one.sync_id));
    const all = [...latest.data, ...older.data.filter((one) => !known.has(one.sync_id))];
    list.show(all, Boolean(filter.space || filter.state));
    more.hidden = !(older.cursor ?? latest.next_cursor);
    return all;
  };
  const refresh = async () => {
    const asked = JSON.stringify(filter);
    const page = await get(query(null), signal);
    if (asked !== JSON.stringify(filter)) return;
    latest = page;
    draw();
    problems.replaceChildren();
  };
  const trouble = (error) => {
    if (signal.aborted) return;
    if (!(error instanceof Problem)) throw error;
    if (error.status === 401) fail(error);
    else problems.replaceChildren(problemBox(error.document));
  };
  const changeFilter = async () => {
    Object.assign(filter, { space: space.value.trim(), state: state.value });
    Object.assign(older, { data: [], cursor: null });
    await refresh().then(() => announce(`${count(draw().length)} syncs listed`), trouble);
  };
  more.addEventListener("click", async () => {
    try {
      const page = await get(query(older.cursor ?? latest.next_cursor), signal);
      older.data.push(...page.data);
      older.cursor = page.next_cursor ?? "";
      announce(`${count(draw().length)} syncs listed`);
    } catch (error) {
      trouble(error);
    }
  });

  const first = await get(query(null), signal);
  latest = first;
  view.append(
    h("h1", {}, "Syncs"),
    previewForm(),
    h("section", { "aria-labelledby": "list-title" },
      h("div", { class: "row spread" },
        h("h2", { id: "list-title" }, "All syncs"),
        h("form", { class: "row", role: "search", "aria-label": "Filter syncs", onsubmit: (event) => (event.preventDefault(), changeFilter()), onchange: changeFilter },
          h("div", { class: "field" }, h("label", { for: "filter-space" }, "Space"), space),
          h("div", { class: "field" }, h("label", { for: "filter-state" }, "State"), state))),
      problems, list.element, h("p", {}, more)),
  );
  draw();
  keepFresh();

  async function keepFresh() {
    for (;;) {
      await pause(REFRESH_MS, signal);
      if (signal.aborted) return;
      if (!document.hidden) await refresh().catch(trouble);
    }
  }
}

function drawList(syncs, filtered) {
  if (syncs.length === 0) {
    const text = filtered ? "No sync matches the filter." : "There are no syncs yet. Preview a space to start: a preview buys nothing.";
    return h("p", { class: "empty" }, text);
  }
  const rows = syncs.map((sync) => [
    h("a", { href: `#/syncs/${encodeURIComponent(sync.sync_id)}` }, sync.space_id ?? sync.sync_id),
    badge(sync.status),
    sync.status === "unreadable" ? sync.error.message : [sync.plan_only && !sync.applied_at ? "Preview" : "Sync", sync.rules && ` · ${sync.rules}`],
    h("span", { class: "number" }, sync.profiles_fetched === undefined ? "–" : count(sync.profiles_fetched)),
    h("span", { class: "number" }, sync.credits_charged === undefined ? "–" : count(sync.credits_charged)),
    time(sync.created_at),
    duration(sync.duration_s),
  ]);
  return table("Syncs, newest first", ["Space", "State", "Kind", "Profiles", "Credits", "Created", "Duration"], rows, { class: "list" });
}

/** The state of a sync. */
export const badge = (state) => h("span", { class: `badge ${state}` }, stateText(state));

function previewForm() {
  const space = h("input", { id: "space", required: true, autocomplete: "off", spellcheck: "false", maxlength: "128", pattern: "[A-Za-z0-9][A-Za-z0-9._~\\-]*" });
  const most = h("input", { id: "most", type: "number", min: "1", step: "1", inputmode: "numeric" });
  const collection = h("select", { id: "collection" }, h("option", { value: "users" }, "Users"), h("option", { value: "accounts" }, "Accounts"));
  const button = h("button", { class: "primary" }, "Preview");
  const problems = h("div");
  const submit = async (event) => {
    event.preventDefault();
    const body = { space_id: space.value.trim(), plan_only: true, collection: collection.value };
    if (most.value) body.max_profiles = Number(most.value);
    button.disabled = true;
    problems.replaceChildren();
    try {
      const sync = await post("/v1/syncs", body, { "Idempotency-Key": crypto.randomUUID?.() ?? `page-${Date.now()}-${Math.random()}` });
      location.hash = `#/syncs/${encodeURIComponent(sync.sync_id)}`;
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problems.replaceChildren(problemBox(error.document));
      space.focus();
    } finally {
      button.disabled = false;
    }
  };
  return h("section", { class: "card", "aria-labelledby": "preview-title" },
    h("h2", { id: "preview-title" }, "Preview a space"),
    h("p", { class: "hint" }, "Reads the profiles and plans the personas. It buys and changes nothing until you apply the plan."),
    h("form", { class: "row", onsubmit: submit },
      h("div", { class: "field grow" }, h("label", { for: "space" }, "Space id"), space),
      h("div", { class: "field" }, h("label", { for: "collection" }, "Collection"), collection),
      h("div", { class: "field" }, h("label", { for: "most" }, "Read at most (profiles, optional)"), most),
      button),
    problems);
}

// One sync, live: its progress, clusters, plan and personas.

import { actionsOf } from "../sections/actions.js";
import { follow, get, Problem, syncPath } from "../api.js";
import { drawCategories, drawDistributions, drawShares } from "../sections/clusters.js";
import { announce, h, Part, problemBox, table } from "../dom.js";
import { drawDrift } from "../sections/drift.js";
import { count, counted, duration, runs, stateText, time } from "../formats.js";
import { drawPersonas, drawPlan } from "../sections/plan.js";
import { badge } from "./syncs.js";

const STATISTICS_MS = 1500;
const STEPS = [["queued", "Queued"], ["fetching", "Read profiles"], ["finalizing", "Make personas"], ["completed", "Done"]];
const REQUEST_HINT = /[^.]*: POST \/v1\/syncs\/.*$/; // what the button Resume does

/** Shows a sync until the signal aborts. */
export async function showSync(view, { id, signal, fail }) {
  const shown = { sync: await get(syncPath(id), signal), statistics: null, history: [] };
  const part = (draw, name = "section") => new Part(h(name, {}), draw);
  const parts = {
    head: part(drawHead, "div"),
    trouble: part((problem) => problem && problemBox(problem), "div"),
    error: part(drawError, "div"),
    progress: part(drawProgress),
    shares: part(drawShares),
    plan: part(drawPlan),
    personas: part(drawPersonas),
    numbers: part(drawDistributions),
    categories: part(drawCategories),
    drift: part(drawDrift),
    quality: part(drawQuality),
  };
  let following = new AbortController();
  const actions = actionsOf((sync) => (draw(sync), watch()), (problem) => problem.status === 401 && fail(problem));
  const { head, trouble, error, ...rest } = parts;
  view.append(
    h("p", { class: "crumbs" }, h("a", { href: "#/" }, "Syncs")),
    h("div", { class: "row spread" }, h("h1", {}, shown.sync.space_id), actions.element),
    head.element, trouble.element, error.element, ...Object.values(rest).map((one) => one.element),
  );

  let asking = false;
  let again = false;
  async function readStatistics() {
    again = true;
    if (asking) return;
    asking = true;
    while (again && !signal.aborted) {
      again = false;
      try {
        shown.statistics = await get(syncPath(id, "statistics"), signal);
        if (!runs(shown.sync)) shown.history = await readHistory(shown.sync, shown.statistics, signal);
        draw();
      } catch (problem) {
        if (!signal.aborted && !(problem instanceof Problem)) throw problem;
      }
      await new Promise((resolve) => setTimeout(resolve, STATISTICS_MS));
    }
    asking = false;
  }

  function draw(sync = shown.sync) {
    shown.sync = sync;
    const { statistics, history } = shown;
    parts.head.show(headOf(sync));
    parts.error.show(sync.error ?? null, sync.alarms ?? []);
    parts.progress.show(progressOf(sync));
    parts.plan.show(sync.planned ?? null, sync.credits_planned, sync.max_credits, sync.account?.text ?? "", sync.orphans ?? []);
    parts.personas.show(sync.personas, sync.skipped, Object.fromEntries((statistics?.clusters ?? []).map((one) => [one.key, one.payload ?? null])));
    parts.shares.show(statistics);
    parts.numbers.show(statistics);
    parts.categories.show(statistics);
    parts.drift.show(history, sync.drift ?? [], sync.compared_with ?? null, labelsOf(statistics));
    parts.quality.show(sync.unclassified, sync.trait_errors, sync.profile_errors, sync.profiles_unreadable);
    actions.show(sync);
  }

  /** Follows the sync from now on, also after an action that continues it. */
  function watch() {
    following.abort();
    following = new AbortController();
    follow(id, AbortSignal.any([signal, following.signal]), (sync) => {
      if (shown.sync.status !== sync.status) announce(`${sync.space_id}: ${stateText(sync.status)}`);
      draw(sync);
      readStatistics();
    }, (problem) => {
      if (problem?.status === 401) fail(problem);
      else parts.trouble.show(problem ? problem.document : null);
    });
  }

  draw();
  announce(`${shown.sync.space_id}: ${stateText(shown.sync.status)}`);
  readStatistics();
  watch();
}

/** The complete syncs of the space, oldest first, if this sync belongs to them. */
async function readHistory(sync, statistics, signal) {
  const query = new URLSearchParams({ collection: statistics.collection, rules: statistics.rules });
  const { data } = await get(`/v1/spaces/${encodeURIComponent(sync.space_id)}/history?${query}`, signal);
  const comparable = data.filter((one) => one.counted === data[0].counted);
  return comparable.reverse();
}

const labelsOf = (statistics) => statistics && {
  clusters: Object.fromEntries(statistics.clusters.map((one) => [one.key, one.cluster])),
  traits: Object.fromEntries(statistics.traits.map((one) => [one.name, one.label])),
};

const headOf = (sync) => ({
  status: sync.status, sync_id: sync.sync_id, profiles: sync.profiles_fetched, pages: sync.pages_fetched, complete: sync.complete,
  started: sync.started_at, seconds: runs(sync) ? null : sync.duration_s, credits: sync.credits_charged, sample: sync.sample,
  file: sync.file, table: sync.table, shards: sync.shards?.of, rules: sync.rules, applied: sync.applied_at, plan_only: sync.plan_only,
});

function drawHead(head) {
  const facts = [
    ["State", badge(head.status)],
    ["Kind", head.plan_only && !head.applied ? "Preview" : head.plan_only ? "Applied preview" : "Sync"],
    ["Profiles", `${count(head.profiles)}${head.complete ? "" : head.status === "completed" || head.status === "planned" ? " (a part of the space)" : ""}`],
    ["Credits charged", count(head.credits)],
    ["Started", time(head.started)],
    head.seconds !== null && ["Duration", duration(head.seconds)],
    head.applied && ["Applied", time(head.applied)],
    head.sample && ["Sample", `${head.sample * 100} %`],
    head.rules && ["Rules", head.rules],
    head.table && ["Table", head.table],
    head.file && ["File", head.shards > 1 ? `${head.file} (${counted(head.shards, "file")})` : head.file],
    ["Sync", h("code", {}, head.sync_id)],
  ];
  return h("dl", { class: "facts" }, facts.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function drawError(error, alarms) {
  const hint = (error?.hint ?? "").replace(REQUEST_HINT, "");
  return [
    error && h("div", { class: "notice bad", role: "alert" },
      h("p", {}, h("strong", {}, error.message), " ", h("code", {}, error.code)),
      hint && h("p", { class: "hint" }, hint)),
    alarms.length > 0 && h("div", { class: "notice warn" }, h("p", {}, h("strong", {}, "A guard would stop this sync:")),
      h("ul", {}, alarms.map((alarm) => h("li", {}, alarm)))),
  ];
}

const progressOf = (sync) => (runs(sync) ? {
  status: sync.status, profiles: sync.profiles_fetched, pages: sync.pages_fetched, shards: sync.shards?.of, table: sync.table, waiting: sync.waiting_for ?? "",
  plan_only: sync.plan_only && !sync.applied_at, lost: sync.revivals ?? 0,
} : null);

function drawProgress(progress) {
  if (!progress) return null;
  const at = STEPS.findIndex(([name]) => name === progress.status);
  const steps = STEPS.map(([name, text], step) =>
    h("li", { class: step < at ? "done" : step === at ? "now" : "", "aria-current": step === at ? "step" : null },
      name === "finalizing" && progress.plan_only ? "Plan personas" : text));
  return [
    h("h2", {}, "Progress"),
    h("ol", { class: "steps" }, steps),
    h("p", { id: "progress-text", role: "status" }, `${counted(progress.profiles, "profile")} from ${progress.shards ? `${count(progress.pages)} of ${counted(progress.shards, "file")}` : progress.table ? `the table ${progress.table}` : counted(progress.pages, "page")}`,
      progress.waiting && ` · waiting for ${progress.waiting}`,
      progress.lost > 0 && ` · ${counted(progress.lost, "job")} lost and restarted`),
    h("progress", { "aria-label": `${stateText(progress.status)}, in progress` }),
  ];
}

function drawQuality(unclassified, traitErrors, profileErrors, unreadable) {
  const rows = [
    unclassified > 0 && ["Profiles without any deciding trait", count(unclassified)],
    profileErrors > 0 && ["Entries that are not profiles", count(profileErrors)],
    unreadable > 0 && ["Profiles whose traits Segment did not return", count(unreadable)],
    ...Object.entries(traitErrors).map(([name, n]) => [`Values of ${name} that cannot be used`, count(n)]),
  ].filter(Boolean);
  return rows.length > 0 && [h("h2", {}, "Data quality"), table("What could not be counted", ["What", "How many"], rows)];
}

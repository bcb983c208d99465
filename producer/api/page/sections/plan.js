// The plan of a preview as a diff, and the personas of a sync with what was sent for them.

import { h, table } from "../dom.js";
import { count, counted, fieldValue, flatten } from "../formats.js";

const ACTIONS = { create: "Create", update: "Update", leave: "Leave unchanged", skip: "Skip", created: "Created", updated: "Updated", unchanged: "Unchanged" };
const SKIPPED = {
  empty: "The cluster is empty",
  too_small: "The cluster is too small",
  no_evidence: "Too few profiles have the deciding traits",
  partial: "Only a part of the space was read",
};

const action = (name) => h("span", { class: `badge ${name}` }, ACTIONS[name] ?? name);

/** The plan, while it may be applied. */
export function drawPlan(planned, credits, budget, account, orphans) {
  if (!planned) return null;
  return [
    h("h2", {}, "Plan"),
    h("p", {}, h("strong", {}, counted(credits, "credit")), budget === null || budget === undefined ? "" : ` of a budget of ${count(budget)}`, account && ` · Mavera account: ${account}`),
    planned.length === 0 && h("p", { class: "empty" }, "No cluster gets a persona."),
    h("div", { class: "pairs" }, planned.map(drawPlanned)),
    orphans.length > 0 && h("p", { class: "notice warn" }, "Personas whose cluster the rules no longer have are not changed: ",
      orphans.map((orphan) => `${orphan.persona_id} (${orphan.cluster})`).join(", ")),
  ];
}

function drawPlanned(persona) {
  const { cluster, action: name, changes, credits, payload, persona_id, reason } = persona;
  const id = `plan-${persona.key}`;
  return h("section", { class: changes.length > 0 ? "card wide" : "card", "aria-labelledby": id },
    h("div", { class: "row spread" }, h("h3", { id }, cluster), action(name)),
    h("p", { class: "hint" }, [credits > 0 ? counted(credits, "credit") : "Free", persona_id, reason].filter(Boolean).join(" · ")),
    payload.description && h("blockquote", {}, payload.description),
    name === "create" && details(`Fields of ${cluster}`, false,
      table(`${cluster}: fields`, ["Field", "After"], flatten(payload).map(([field, after]) => [field, inserted(after)]), { class: "diff" })),
    changes.length > 0 && details(`Changes of ${cluster}`, true,
      table(`${cluster}: before and after`, ["Field", "Before", "After"],
        changes.map(({ field, before, after }) => [field, deleted(before), inserted(after)]), { class: "diff" })),
    payloadDetails(cluster, payload));
}

const missing = (value) => value === undefined || value === null;
const deleted = (value) => (missing(value) ? "–" : h("del", {}, fieldValue(value)));
const inserted = (value) => (missing(value) ? "–" : h("ins", {}, fieldValue(value)));

/** The personas, and the clusters without one. payloads: by the key of the cluster; null: not known. */
export function drawPersonas(personas, skipped, payloads) {
  if (personas.length === 0 && skipped.length === 0) return null;
  return [
    h("h2", {}, "Personas"),
    h("div", { class: "pairs" }, personas.map((persona) => {
      const id = `persona-${persona.key}`;
      const facts = [h("code", {}, persona.persona_id), ` · ${counted(persona.n, "profile")}`, persona.reason && ` · ${persona.reason}`,
        persona.ignored && ` · Mavera dropped ${persona.ignored.join(", ")}`, persona.twins && ` · same reference: ${persona.twins.join(", ")}`];
      return h("section", { class: "card", "aria-labelledby": id },
        h("div", { class: "row spread" }, h("h3", { id }, persona.cluster), action(persona.action)),
        h("p", { class: "hint" }, facts),
        payloads[persona.key] && [
          h("blockquote", {}, payloads[persona.key].description),
          payloadDetails(persona.cluster, payloads[persona.key]),
        ]);
    })),
    skipped.length > 0 && table("Clusters without a change", ["Cluster", "Profiles", "Why", "Persona"], skipped.map((one) => [
      one.cluster, count(one.n), SKIPPED[one.reason] ?? one.reason, one.persona_id ? h("code", {}, one.persona_id) : "–",
    ])),
  ];
}

const payloadDetails = (cluster, payload) => details(`Payload of ${cluster}`, false,
  h("pre", { tabindex: "0", role: "group", "aria-label": `Payload of ${cluster}` }, JSON.stringify(payload, null, 2)));

const details = (title, open, content) => h("details", { open }, h("summary", {}, title), content);

// The buttons of a sync: apply, cancel and resume. Each asks before it changes something.

import { post, syncPath } from "../api.js";
import { h, Part } from "../dom.js";
import { counted, runs } from "../formats.js";
import { ask } from "./dialog.js";

/** The buttons. onSync: gets the sync after an action. onProblem: gets a Problem that the page must know. */
export function actionsOf(onSync, onProblem) {
  const buttons = new Part(h("div", { class: "row actions", role: "group", "aria-label": "Actions" }), (facts) => [
    facts.can.apply && h("button", { type: "button", id: "apply", class: "primary", onclick: () => ask(element, applyDialog(current), onSync, onProblem) }, "Apply plan"),
    facts.can.resume && h("button", { type: "button", id: "resume", class: "primary", onclick: () => ask(element, resumeDialog(current), onSync, onProblem) }, "Resume"),
    facts.can.cancel && h("button", { type: "button", id: "cancel", onclick: () => ask(element, cancelDialog(current), onSync, onProblem) }, "Cancel"),
  ]);
  const element = h("div", {}, buttons.element);
  let current = null;

  return {
    element,
    show(sync) {
      current = sync;
      const can = {
        apply: sync.status === "planned",
        resume: sync.status === "failed",
        cancel: runs(sync),
      };
      buttons.show({ can });
    },
  };
}

function checkbox(id, text) {
  const input = h("input", { type: "checkbox", id });
  return [input, h("div", { class: "check" }, input, h("label", { for: id }, text))];
}

function budget(value) {
  const input = h("input", { id: "max-credits", type: "number", min: "0", step: "1", inputmode: "numeric", value });
  return [input, h("div", { class: "field" }, h("label", { for: "max-credits" }, "Spend at most (credits)"), input)];
}

function applyDialog(sync) {
  const creates = sync.planned.filter((one) => one.action === "create").length;
  const updates = sync.planned.filter((one) => one.action === "update").length;
  const [limit, limitField] = budget(Math.min(sync.max_credits ?? Infinity, sync.credits_planned));
  limit.required = true;
  const [partial, partialField] = checkbox("allow-partial", "Create personas although only a part of the space was read");
  const [accept, acceptField] = checkbox("accept", "Continue even if a guard would stop the sync");
  const fields = [limitField];
  if (!sync.complete && creates > 0) fields.push(partialField);
  if (sync.alarms.length > 0) fields.push(acceptField);
  return {
    title: "Apply this plan?",
    text: [
      creates > 0 && `Creates ${counted(creates, "persona")} for ${counted(sync.credits_planned, "credit")}.`,
      updates > 0 && `Updates ${counted(updates, "persona")} for free.`,
      creates + updates === 0 && "Nothing changes.",
    ].filter(Boolean).join(" "),
    fields,
    label: "Apply plan",
    run: () => post(syncPath(sync.sync_id, "apply"), { max_credits: Number(limit.value), allow_partial: partial.checked, accept: accept.checked }),
  };
}

function cancelDialog(sync) {
  return {
    title: "Cancel this sync?",
    text: "The sync stops. Personas that it has created are kept.",
    label: "Cancel sync",
    danger: true,
    run: () => post(syncPath(sync.sync_id, "cancel")),
  };
}

function resumeDialog(sync) {
  const [restart, restartField] = checkbox("restart", "Read the space from the start");
  const [accept, acceptField] = checkbox("accept", "Continue even if a guard would stop the sync");
  const [limit, limitField] = budget(null);
  const fields = [];
  if (sync.error.resumable === false) restart.checked = true;
  fields.push(restartField);
  if (sync.error.code.startsWith("guard_")) fields.push(acceptField);
  if (sync.error.code === "over_budget") fields.push(limitField);
  return {
    title: "Resume this sync?",
    text: "The sync continues where it stopped.",
    fields,
    label: "Resume",
    run: () => {
      const body = { restart: restart.checked, accept: accept.checked };
      if (limit.value) body.max_credits = Number(limit.value);
      return post(syncPath(sync.sync_id, "resume"), body);
    },
  };
}

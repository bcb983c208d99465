// How the clusters changed: over the last complete syncs, and since the one before this one.

import { lineChart } from "./charts.js";
import { chartRow } from "./clusters.js";
import { h, table } from "../dom.js";
import { count, percent, signed, time } from "../formats.js";

const MOST = 20;
const STATUSES = { new: "new", vanished: "vanished", kept: "" };

/** The shares over time, and the changes.
 * history: complete syncs, oldest first. drift: changes of the clusters. before: the sync that they are compared with.
 * labels: of clusters and traits, by their names. */
export function drawDrift(history, drift, before, labels) {
  const last = history.slice(-MOST);
  if (!labels || (last.length < 2 && drift.length === 0)) return null;
  return [h("h2", {}, "Drift"), last.length > 1 && drawLines(last, labels.clusters), before && drift.length > 0 && drawChanges(drift, before, labels.traits)];
}

function drawLines(history, labels) {
  const keys = Object.keys(labels).filter((key) => history.some((entry) => entry.clusters[key]?.n > 0));
  const shares = (key) => history.map((entry) => entry.clusters[key]?.share ?? 0);
  const highest = Math.max(...keys.flatMap(shares));
  return [
    h("ul", { class: "rows" }, keys.map((key) => {
      const values = shares(key);
      const text = `${percent(values[0])} → ${percent(values.at(-1))}`;
      return chartRow(labels[key], lineChart(values, highest, `${labels[key]}: ${values.map(percent).join(", ")}`), text);
    })),
    h("p", { class: "hint" }, `Share of each cluster in the last ${count(history.length)} complete syncs, ${time(history[0].read_to)} to ${time(history.at(-1).read_to)}.`),
  ];
}

function drawChanges(drift, before, traits) {
  const rows = drift.map((one) => [
    one.cluster,
    count(one.n_before),
    count(one.n),
    `${signed(one.points)} points`,
    [STATUSES[one.status], ...Object.entries(one.means).map(([name, by]) => `${traits[name] ?? name} ${signed(by, 2)}`)].filter(Boolean).join(", ") || "–",
  ]);
  return table(`Changes since ${time(before.read_to)}`, ["Cluster", "Before", "Now", "Share", "Means (standard deviations)"], rows);
}

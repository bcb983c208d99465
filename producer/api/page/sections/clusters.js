// The clusters of a sync as charts: their shares, the distribution of each number, and the most frequent values.

import { histogramChart, shareBar } from "./charts.js";
import { h } from "../dom.js";
import { count, percent, traitValue } from "../formats.js";

/** A row of a chart: name, chart, and the values in words. */
export const chartRow = (name, drawing, text) =>
  h("li", {}, h("span", { class: "name" }, name), drawing, h("span", { class: "text" }, text));

const filled = (statistics) => (statistics?.clusters ?? []).filter((cluster) => cluster.n > 0);

/** How the profiles are distributed over the clusters. */
export function drawShares(statistics) {
  if (!statistics || statistics.profiles === 0) return null;
  return [
    h("h2", {}, "Clusters"),
    h("ul", { class: "rows" }, statistics.clusters.map((cluster) =>
      chartRow(cluster.cluster, shareBar(cluster.share, `${cluster.cluster}: ${percent(cluster.share)}`),
        `${percent(cluster.share)} · ${count(cluster.n)}`))),
    h("p", { class: "hint" }, `Shares of the profiles that are in a cluster. ${count(statistics.unclassified)} of ${count(statistics.profiles)} profiles are in none.`),
  ];
}

/** The distribution of each number in each cluster. */
export function drawDistributions(statistics) {
  const clusters = filled(statistics);
  const figures = (statistics?.traits ?? []).filter((trait) => trait.type === "number" || trait.type === "date")
    .map((trait) => drawDistribution(trait, clusters)).filter(Boolean);
  return figures.length > 0 && [
    h("h2", {}, "Distributions"),
    h("p", { class: "hint" }, "Each bar chart covers the middle 80 % of a cluster's values and has its own height. The line marks the median."),
    h("div", { class: "grid" }, figures),
  ];
}

function drawDistribution(trait, clusters) {
  const known = clusters.map((cluster) => [cluster, cluster.numbers[trait.name]]).filter(([, number]) => number && number.mean !== null);
  if (known.length === 0) return null;
  const wide = known.map(([, number]) => number).filter((number) => number.p10 !== null);
  const ends = wide.map((number) => [number.histogram?.edges[0] ?? number.p10, number.histogram?.edges.at(-1) ?? number.p90]);
  const axis = [Math.min(...ends.map(([low]) => low)), Math.max(...ends.map(([, high]) => high))];
  const drawn = wide.length > 0 && axis[1] > axis[0];
  const value = (number) => traitValue(number, trait);
  const id = `trait-${trait.name}`;
  return h("section", { class: "card", "aria-labelledby": id },
    h("h3", { id }, trait.label),
    h("ul", { class: "rows stacked" }, known.map(([cluster, number]) => {
      const text = number.median === null ? `mean ${value(number.mean)}` : `median ${value(number.median)} · mean ${value(number.mean)}`;
      const label = number.median === null
        ? `${cluster.cluster}: mean ${value(number.mean)}, too few values for a distribution`
        : `${cluster.cluster}: median ${value(number.median)}, mean ${value(number.mean)}, 80 % of the values between ${value(number.p10)} and ${value(number.p90)}`;
      const coverage = number.known < cluster.n ? ` · known for ${percent(number.known / cluster.n)}` : "";
      return chartRow(cluster.cluster, drawn && number.p10 !== null && histogramChart(number, axis, label), text + coverage);
    })),
    drawn && h("p", { class: "ends", "aria-hidden": "true" }, h("span", {}, value(Math.min(...wide.map((number) => number.p10)))), h("span", {}, value(Math.max(...wide.map((number) => number.p90))))));
}

/** The most frequent values of each category and list, and the shares of booleans. */
export function drawCategories(statistics) {
  const clusters = filled(statistics);
  const figures = (statistics?.traits ?? []).map((trait) => {
    const groups = clusters.map((cluster) => [cluster, valuesOf(trait, cluster)]).filter(([, values]) => values.length > 0);
    if (groups.length === 0) return null;
    const id = `trait-${trait.name}`;
    return h("section", { class: "card", "aria-labelledby": id }, h("h3", { id }, trait.label),
      groups.map(([cluster, values]) => [
        h("h4", {}, cluster.cluster),
        h("ul", { class: "rows" }, values.map(({ value, share }) =>
          chartRow(value, share !== null && shareBar(share, `${cluster.cluster}, ${value}: ${percent(share)}`), percent(share)))),
      ]));
  }).filter(Boolean);
  return figures.length > 0 && [h("h2", {}, "Most frequent values"), h("div", { class: "grid" }, figures)];
}

function valuesOf(trait, cluster) {
  if (trait.type === "boolean") {
    const share = cluster.booleans[trait.name]?.true ?? null;
    return share === null ? [] : [{ value: "yes", share }];
  }
  return cluster.categories[trait.name]?.top ?? [];
}

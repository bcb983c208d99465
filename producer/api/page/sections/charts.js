// Charts as plain SVG. They stretch to the width that there is, so all text is beside them, in HTML. Each has a text
// alternative with its values.

import { svg } from "../dom.js";

const WIDTH = 1000;

const chart = (height, label, kind, ...children) =>
  svg("svg", { class: `chart ${kind}-chart`, viewBox: `0 0 ${WIDTH} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, children);

const at = (number) => Number(number.toFixed(2));

/** A horizontal bar. share: 0 to 1. interval: bounds of the share, or null. */
export function shareBar(share, label, interval = null) {
  return chart(20, label, "bar",
    svg("rect", { class: "track", width: WIDTH, height: 20 }),
    svg("rect", { class: "value", width: at(share * WIDTH), height: 20 }),
    interval && svg("path", { class: "interval", d: `M${at(interval[0] * WIDTH)} 10H${at(interval[1] * WIDTH)}` }));
}

/** A histogram on an axis that other charts share.
 * number: the statistics of a trait in a cluster. axis: its first and last value. */
export function histogramChart(number, axis, label) {
  const x = (value) => ((value - axis[0]) / (axis[1] - axis[0])) * WIDTH;
  const bars = [];
  if (number.histogram) {
    const { edges, counts } = number.histogram;
    const density = counts.map((n, bin) => (n ?? 1) / (edges[bin + 1] - edges[bin]));
    const tallest = Math.max(...density);
    counts.forEach((n, bin) => {
      if (n === 0) return;
      const height = Math.max(1.5, (density[bin] / tallest) * 44);
      bars.push(svg("rect", { class: "value", x: at(x(edges[bin])), y: at(46 - height), width: at(Math.max(2, x(edges[bin + 1]) - x(edges[bin]))), height: at(height) }));
    });
  }
  return chart(56, label, "histogram",
    svg("path", { class: "axis", d: `M0 47H${WIDTH}` }),
    bars,
    number.p10 !== null && svg("path", { class: "range", d: `M${at(x(number.p10))} 51H${at(x(number.p90))}` }),
    number.median !== null && svg("path", { class: "middle", d: `M${at(x(number.median))} 2V55` }));
}

/** A line with a dot for each value, from 0 to the highest. */
export function lineChart(values, highest, label) {
  const x = (index) => (values.length === 1 ? WIDTH / 2 : 12 + (index / (values.length - 1)) * (WIDTH - 24));
  const y = (value) => 40 - (value / (highest || 1)) * 36;
  const points = values.map((value, index) => `${at(x(index))} ${at(y(value))}`);
  return chart(44, label, "line",
    svg("path", { class: "axis", d: `M0 42H${WIDTH}` }),
    svg("path", { class: "stroke", d: `M${points.join("L")}` }),
    // A line without length and with round ends is a dot, however much the chart is stretched.
    points.map((point) => svg("path", { class: "dot", d: `M${point}h0.01` })));
}

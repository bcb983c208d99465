// Builds elements. Texts become text nodes, never markup, so no value of a space can add an element or a script.

const SVG = "http://www.w3.org/2000/svg";

/** An element. attributes: `class`, `onclick` and other listeners, booleans, texts; null and false are left out. */
export function h(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** An element of SVG. */
export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(3).filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

/** Replaces the children of an element. If one of them had the focus, its successor with the same id gets it, or else the
 * heading of the page. */
function replace(element, children) {
  const active = document.activeElement;
  const within = active !== element && element.contains(active);
  element.replaceChildren(...children);
  if (within) ((active.id && document.getElementById(active.id)) || document.querySelector("h1"))?.focus();
}

/** Draws a part of the page again only if what it shows has changed, so that focus and open details stay. */
export class Part {
  constructor(element, draw) {
    this.element = element;
    this.draw = draw;
    this.shown = null;
  }

  show(...values) {
    const shown = JSON.stringify(values);
    if (shown === this.shown) return;
    this.shown = shown;
    const children = [this.draw(...values)].flat(3).filter(Boolean);
    this.element.hidden = children.length === 0;
    replace(this.element, children);
  }
}

/** A table in a box that scrolls by itself. head: titles. rows: arrays of cells; the first cell is the row's title. */
export function table(caption, head, rows, attributes = {}) {
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "group", "aria-label": caption },
    h(
      "table",
      attributes,
      h("caption", {}, caption),
      h("thead", {}, h("tr", {}, head.map((title) => h("th", { scope: "col" }, title)))),
      h("tbody", {}, rows.map(([first, ...cells]) =>
        h("tr", {}, h("th", { scope: "row" }, first), cells.map((cell) => h("td", {}, cell))))),
    ),
  );
}

let announced = "";

/** Has a screen reader say a text, once. */
export function announce(text) {
  if (text === announced) return;
  announced = text;
  document.getElementById("status").textContent = text;
}

/** A box that says that something failed, with what to do about it. */
export function problemBox(problem) {
  return h(
    "div",
    { class: "notice bad", role: "alert" },
    h("p", {}, h("strong", {}, problem.detail ?? problem.message), " ", h("code", {}, problem.code)),
    problem.hint && h("p", { class: "hint" }, problem.hint),
    (problem.errors ?? []).length > 0 && h("ul", {}, problem.errors.map((one) => h("li", {}, `${one.where}: ${one.message}`))),
    problem.sync_id && h("p", {}, h("a", { href: `#/syncs/${encodeURIComponent(problem.sync_id)}` }, `Open ${problem.sync_id}`)),
  );
}

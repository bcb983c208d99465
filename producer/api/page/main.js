// The page: chooses the view of the address (#/, #/syncs/ID, #/schedules), and asks for a token where one is needed.

import { get, Problem, token } from "./api.js";
import { announce, h, problemBox } from "./dom.js";
import { showSchedules } from "./views/schedules.js";
import { signInForm } from "./views/sign_in.js";
import { showSync } from "./views/sync.js";
import { showSyncs } from "./views/syncs.js";

const main = document.getElementById("main");
const schedulesLink = document.getElementById("schedules-link");
const signOut = document.getElementById("sign-out");
let stop = new AbortController();
let hasSchedules = false;

/** The view of an address: its name and the id in it. */
function route() {
  const [name = "", id = ""] = location.hash.replace(/^#\/?/, "").split("/");
  if (name === "syncs" && id) return { draw: showSync, id: decoded(id), section: "#/" };
  if (name === "schedules" && hasSchedules) return { draw: showSchedules, id: "", section: "#/schedules" };
  return { draw: showSyncs, id: "", section: "#/" };
}

/** The text of an encoded part of an address; the part itself if it is malformed. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Shows the view of the address. focus: whether its heading gets the focus, as after a click on a link. */
async function show({ focus = true } = {}) {
  stop.abort();
  stop = new AbortController();
  const { signal } = stop;
  const { draw, id, section } = route();
  for (const link of document.querySelectorAll("#sections a")) {
    if (link.getAttribute("href") === section) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  signOut.hidden = !token.get();
  const view = h("div", { class: "view" });
  main.replaceChildren(view);
  try {
    await draw(view, { id, signal, fail: (problem) => !signal.aborted && fail(view, problem) });
  } catch (error) {
    if (!signal.aborted) fail(view, error);
  }
  if (signal.aborted) return;
  const heading = view.querySelector("h1");
  document.title = heading ? `${heading.textContent} · segment-personas` : "segment-personas";
  if (heading) heading.tabIndex = -1;
  if (focus && heading && !view.contains(document.activeElement)) heading.focus();
}

/** Shows why a view cannot be shown: a form for the token, or the problem. */
function fail(view, error) {
  if (!(error instanceof Problem)) throw error;
  if (error.status === 401) {
    const wrong = token.get() !== "";
    token.clear();
    signOut.hidden = true;
    view.replaceChildren(signInForm(wrong, () => begin()));
    (view.querySelector("input") ?? view).focus();
    return;
  }
  view.replaceChildren(h("h1", { tabindex: "-1" }, "This page cannot be shown"), problemBox(error.document), h("p", {}, h("a", { href: "#/" }, "All syncs")));
}

async function begin(options) {
  const document_ = await get("/openapi.json").catch(() => ({ paths: {} }));
  hasSchedules = "/v1/schedules" in document_.paths;
  schedulesLink.hidden = !hasSchedules;
  await show(options);
}

signOut.addEventListener("click", () => {
  token.clear();
  announce("Signed out");
  show();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // the fragment is the address of the view
  main.focus();
});
addEventListener("hashchange", () => show());
begin({ focus: false });

// A dialog that asks before something is changed, and stays open with the reason if it is refused.

import { Problem } from "../api.js";
import { announce, h, problemBox } from "../dom.js";

/** Asks, and runs what was asked for.
 * parent: where the dialog belongs. question: its `title`, `text`, `fields`, the `label` of its button, whether that is
 * `danger`, and what to `run`. onDone: gets what `run` returns. onProblem: gets a Problem. */
export function ask(parent, { title, text, fields = [], label, danger, run }, onDone, onProblem) {
  const problems = h("div");
  const confirm = h("button", { class: danger ? "danger" : "primary" }, label);
  const submit = async (event) => {
    event.preventDefault();
    confirm.disabled = true;
    problems.replaceChildren();
    try {
      const done = await run();
      dialog.close();
      announce(`${label}: done`);
      onDone(done);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      problems.replaceChildren(problemBox(error.document));
      onProblem(error);
    } finally {
      confirm.disabled = false;
    }
  };
  const dialog = h("dialog", { "aria-labelledby": "dialog-title", onclose: () => dialog.remove() },
    h("form", { onsubmit: submit },
      h("h2", { id: "dialog-title" }, title),
      h("p", {}, text),
      fields,
      problems,
      h("div", { class: "row end" }, h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Close"), confirm)));
  parent.append(dialog);
  dialog.showModal();
}

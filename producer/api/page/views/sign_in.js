// The form for a bearer token.

import { token } from "../api.js";
import { announce, h } from "../dom.js";

/** The form. wrong: whether a token was refused. onDone: called when a token was entered. */
export function signInForm(wrong, onDone) {
  const input = h("input", {
    id: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false",
    "aria-describedby": wrong ? "token-problem token-help" : "token-help", "aria-invalid": wrong ? "true" : null,
  });
  const submit = (event) => {
    event.preventDefault();
    const value = input.value.trim();
    if (!/^[!-~]+$/.test(value)) {
      input.setCustomValidity("A token has no spaces and only ASCII characters.");
      input.reportValidity();
      return;
    }
    token.set(value);
    announce("Signing in");
    onDone();
  };
  return h(
    "form",
    { class: "card narrow", onsubmit: submit, oninput: () => input.setCustomValidity("") },
    h("h1", {}, "Sign in"),
    wrong && h("p", { class: "notice bad", role: "alert", id: "token-problem" }, "The server does not know this token."),
    h("label", { for: "token" }, "Token"),
    input,
    h("p", { class: "hint", id: "token-help" }, "A token of the file that API_TOKENS_FILE names. This tab keeps it until it is closed."),
    h("button", { class: "primary" }, "Sign in"),
  );
}

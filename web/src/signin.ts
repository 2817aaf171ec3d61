/** The form that asks for the access token. */

import { el } from "./dom";

/** `problem` says why it is asked for again; `enter` returns why a token was not accepted, or null. */
export function signIn(problem: string, enter: (token: string) => Promise<string | null>): HTMLElement {
  const input = el("input", {
    id: "token",
    type: "password",
    required: true,
    autocomplete: "current-password",
    spellcheck: "false",
    "aria-describedby": "token-help token-problem",
  });
  const said = el("p", { id: "token-problem", role: "alert", class: "problem" }, problem);
  const submit = el("button", {}, "Sign in");
  const form = el(
    "form",
    { class: "card" },
    el("h2", {}, "Sign in"),
    el("label", { for: "token" }, "Access token"),
    input,
    el("p", { id: "token-help" }, "Whoever runs this deployment has it. It is kept in this tab, until you close it."),
    said,
    submit,
  );
  const attempt = async () => {
    submit.disabled = true;
    said.textContent = "";
    const refused = await enter(input.value.trim());
    submit.disabled = false;
    if (refused === null) return;
    said.textContent = refused;
    input.setAttribute("aria-invalid", "true");
    input.focus();
    input.select();
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void attempt();
  });
  return form;
}

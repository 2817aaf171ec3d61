/** The digests of a file, each with a button that copies it. */

import { button, el, say } from "./dom";

/** The SHA-256 at once, the others on demand. */
export function digestList(filename: string, digests: Record<string, string>): HTMLElement {
  const { "sha-256": first = "", ...others } = digests;
  const rest = Object.entries(others).flatMap(([name, hex]) => digest(filename, name, hex));
  return el(
    "div",
    { class: "digests" },
    el("dl", {}, ...digest(filename, "sha-256", first)),
    ...(rest.length > 0 ? [el("details", {}, el("summary", {}, "Other digests"), el("dl", {}, ...rest))] : []),
  );
}

function digest(filename: string, name: string, value: string): HTMLElement[] {
  const hex = el("code", {}, value);
  const copy = button("Copy", () => void copied(name, hex), {
    class: "quiet",
    "aria-label": `Copy the ${name} of ${filename}`,
  });
  return [el("dt", {}, name), el("dd", {}, hex, copy)];
}

async function copied(name: string, hex: HTMLElement): Promise<void> {
  try {
    await navigator.clipboard.writeText(hex.textContent);
    say(`${name} copied`);
  } catch {
    // The browser does not let us: the person can, from a selection.
    getSelection()?.selectAllChildren(hex);
    say(`${name} selected: copy it with your keyboard`);
  }
}

/** Where an owner is in the page, in the fragment of its address: back, forward and a reload lead there again. */

import { signal } from "@preact/signals";

export type View = "files" | "drops" | "shares" | "tokens";

export interface Route {
  view: View;
  /** The folder that is open; null for all files. */
  folder: string | null;
  /** The drop whose files are listed. */
  drop: string | null;
  /** What is looked for in names. */
  q: string;
  /** The file whose details are open. */
  file: string | null;
}

const VIEWS: readonly string[] = ["files", "drops", "shares", "tokens"] satisfies View[];

export function parse(fragment: string): Route {
  const given = new URLSearchParams(fragment.replace(/^#/, ""));
  const view = given.get("view") ?? "";
  return {
    view: VIEWS.includes(view) ? (view as View) : "files",
    folder: given.get("folder"),
    drop: given.get("in"),
    q: given.get("q") ?? "",
    file: given.get("file"),
  };
}

export function fragment(route: Route): string {
  const { view, folder, drop, q, file } = route;
  const given = new URLSearchParams();
  if (view !== "files") given.set("view", view);
  if (folder !== null) given.set("folder", folder);
  if (drop !== null) given.set("in", drop); // `drop` itself is a guest's capability
  if (q !== "") given.set("q", q);
  if (file !== null) given.set("file", file);
  return given.size === 0 ? "#" : `#${given}`;
}

export const route = signal<Route>(parse(location.hash));
addEventListener("popstate", () => {
  route.value = parse(location.hash);
});

/** Go there. `quietly`: without a step for the browser's back button, as while somebody types. */
export function go(changed: Partial<Route>, quietly = false): void {
  const next = { ...route.value, ...changed };
  if (quietly) history.replaceState(null, "", fragment(next));
  else history.pushState(null, "", fragment(next));
  route.value = next;
}

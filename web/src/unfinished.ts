/** What this browser has begun to send through a drop and not finished: its sender is asked for it when he is back. */

import { read, write } from "./storage";

const KEY = "sluice-unfinished-"; // and the drop's id
const KEPT_MS = 7 * 86_400_000; // as long as the server keeps an upload that nobody completes

export interface Unfinished {
  path: string;
  name: string;
  size: number;
  lastModified: number;
  begun: number;
}

type Known = Omit<Unfinished, "begun">;

/** The same for two files of which nothing that the browser tells is different. */
export function keyOf({ path, name, size, lastModified }: Known): string {
  return JSON.stringify([path, name, size, lastModified]);
}

export function unfinished(drop: string, now = Date.now()): Unfinished[] {
  try {
    const kept = JSON.parse(read("localStorage", KEY + drop) ?? "[]") as Unfinished[];
    return kept.filter(({ begun }) => now - begun < KEPT_MS);
  } catch {
    return []; // not what this page wrote
  }
}

export function remember(drop: string, known: Known, now = Date.now()): void {
  keep(drop, [...unfinished(drop, now).filter((one) => keyOf(one) !== keyOf(known)), { ...known, begun: now }]);
}

export function forget(drop: string, known: Known): void {
  keep(
    drop,
    unfinished(drop).filter((one) => keyOf(one) !== keyOf(known)),
  );
}

function keep(drop: string, list: Unfinished[]): void {
  // Where nothing is kept, choosing the file again goes on with it all the same; only nobody asks for it.
  write("localStorage", KEY + drop, list.length === 0 ? null : JSON.stringify(list));
}

/** The tab's title: where one is, and before it how far that is which goes on. */

import { effect, signal } from "@preact/signals";

const place = signal("");
const progress = signal<string | null>(null);

effect(() => {
  if (place.value === "") return; // what the document came with
  document.title = progress.value === null ? place.value : `${progress.value} · ${place.value}`;
});

export function at(name: string): void {
  place.value = `${name} · Sluice`;
}

/** Null at the end, and when nobody tells any more. */
export function going(words: string | null): void {
  progress.value = words;
}

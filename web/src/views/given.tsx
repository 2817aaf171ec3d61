/** A list of files on the page of somebody who was given a link, of any length. Its rows are as high as their words need. */

import { useSignal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { offsets, rendered } from "../visible";
import { useSeen } from "./seen";

const ROW_PX = 56; // of a row that has not been in the document yet

/** What the row's `<li>` takes over. */
export interface Place {
  "data-key": string;
  "aria-setsize": number;
  "aria-posinset": number;
  style: { transform: string };
}

interface Props<T> {
  items: readonly T[];
  keyOf: (item: T) => string;
  row: (item: T, index: number, place: Place) => JSX.Element;
  label?: string;
}

export function Given<T>({ items, keyOf, row, label }: Props<T>) {
  const list = useRef<HTMLUListElement>(null);
  const focused = useSignal<string | null>(null);
  const { heights, changes, observe } = useHeights();
  const starts = useMemo(
    () => offsets(items.map((item) => heights.get(keyOf(item)) ?? ROW_PX)),
    [items, heights, changes.value],
  );
  const [first, end] = useSeen(list, starts);
  useLayoutEffect(() => observe(list.current));
  const keyboard = focused.value === null ? -1 : items.findIndex((item) => keyOf(item) === focused.value);
  return (
    <ul
      ref={list}
      class="given long"
      aria-label={label}
      style={{ height: `${starts.at(-1) ?? 0}px` }}
      onFocusIn={({ target }) => (focused.value = keyed(target)?.dataset.key ?? null)}
      onFocusOut={() => (focused.value = null)}
    >
      {rendered([first, Math.min(end, items.length)], keyboard).map((index) => {
        const item = items[index];
        if (item === undefined) return null;
        return row(item, index, {
          "data-key": keyOf(item),
          "aria-setsize": items.length,
          "aria-posinset": index + 1,
          style: { transform: `translateY(${starts[index] ?? 0}px)` },
        });
      })}
    </ul>
  );
}

/** How high rows are, by their keys, for as long as they are in the document and as they were then. */
function useHeights() {
  const changes = useSignal(0);
  const { heights, observer, observe } = useMemo(() => {
    const heights = new Map<string, number>();
    const observed = new WeakSet<Element>();
    const observer = new ResizeObserver((entries) => {
      let changed = false;
      for (const { target } of entries) {
        if (!target.isConnected) {
          observer.unobserve(target);
          continue;
        }
        const { key = "" } = (target as HTMLElement).dataset;
        const height = (target as HTMLElement).offsetHeight;
        changed ||= heights.get(key) !== height;
        heights.set(key, height);
      }
      if (changed) changes.value++;
    });
    const observe = (list: HTMLElement | null) => {
      for (const row of list?.children ?? []) {
        if (observed.has(row)) continue;
        observed.add(row);
        observer.observe(row);
      }
    };
    return { heights, observer, observe };
  }, [changes]);
  useEffect(() => () => observer.disconnect(), [observer]);
  return { heights, changes, observe };
}

function keyed(target: EventTarget | null): HTMLElement | null {
  return target instanceof Element ? target.closest<HTMLElement>("[data-key]") : null;
}

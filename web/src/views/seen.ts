/** Which rows of a long list are in the document: those on the screen, and a few more on either side. */

import { type Signal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect } from "preact/hooks";
import { visible } from "../visible";

const SPARE_ROWS = 8; // beyond what is seen, so that scrolling shows no gaps

/** The first row, and the one behind the last. `starts` has where each begins; `width` is set to that of the list. */
export function useSeen(
  list: RefObject<HTMLElement | null>,
  starts: readonly number[],
  width?: Signal<number>,
): readonly [number, number] {
  const range = useSignal<readonly [number, number]>([0, 0]);
  const measure = () => {
    const top = -(list.current?.getBoundingClientRect().top ?? 0);
    if (width) width.value = list.current?.clientWidth ?? 0;
    const next = visible(starts, top, top + innerHeight, SPARE_ROWS);
    if (next[0] !== range.peek()[0] || next[1] !== range.peek()[1]) range.value = next;
  };
  useLayoutEffect(measure);
  useEffect(() => {
    addEventListener("scroll", measure, { passive: true });
    addEventListener("resize", measure);
    return () => {
      removeEventListener("scroll", measure);
      removeEventListener("resize", measure);
    };
  });
  return range.value;
}

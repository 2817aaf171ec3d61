/** A list that comes page by page, and anew when somebody comes back to it. */

import { type Signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { t } from "../i18n";
import { explain } from "../explain";

interface Page<T> {
  items: T[];
  next: string | null;
}

export interface Paged<T> {
  /** Null before the first page is there. */
  items: Signal<T[] | null>;
  next: Signal<string | null>;
  problem: Signal<string>;
  more: () => Promise<void>;
  anew: () => Promise<void>;
}

/** `most` answers are waited for at once, where the first of them have nothing. */
export function usePages<T>(ask: (cursor: string | null) => Promise<Page<T>>, most = Infinity): Paged<T> {
  const items = useSignal<T[] | null>(null);
  const next = useSignal<string | null>(null);
  const problem = useSignal("");
  const left = useRef(false); // nobody looks at it any more
  const load = async (cursor: string | null) => {
    problem.value = "";
    try {
      let found: T[] = [];
      let answers = 0;
      // What has ended is left out, so a page may be empty and not be the last.
      do {
        const page = await ask(cursor);
        found = page.items;
        cursor = page.next;
        if (found.length > 0) break;
      } while (cursor !== null && ++answers < most && !left.current);
      return { found, next: cursor };
    } catch (error) {
      problem.value = explain(error);
      return null;
    }
  };
  const anew = async () => {
    const page = await load(null);
    if (!page) return;
    items.value = page.found;
    next.value = page.next;
  };
  const more = async () => {
    const cursor = next.value;
    const page = await load(cursor);
    if (!page || next.value !== cursor) return; // asked for twice, or all of it anew
    items.value = [...(items.value ?? []), ...page.found];
    next.value = page.next;
  };
  useEffect(() => {
    void anew();
    const back = () => {
      if (document.visibilityState === "visible") void anew();
    };
    document.addEventListener("visibilitychange", back);
    return () => {
      left.current = true;
      document.removeEventListener("visibilitychange", back);
    };
  }, []);
  return { items, next, problem, more, anew };
}

/** The problem, and the button for what follows, under a list. */
export function Rest<T>({ list, more = t("link.more") }: { list: Paged<T>; more?: string }) {
  return (
    <>
      <p role="alert" class="problem">
        {list.problem}
      </p>
      {list.next.value !== null && (
        <div class="actions">
          <button type="button" class="quiet" onClick={() => void list.more()}>
            {more}
          </button>
        </div>
      )}
      {list.problem.value !== "" && (
        <div class="actions">
          <button type="button" class="quiet" onClick={() => void list.anew()}>
            {t("link.again")}
          </button>
        </div>
      )}
    </>
  );
}

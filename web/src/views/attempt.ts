/** Something that the server is asked for and that may be refused: whether it is under way, and why it did not work. */

import { type Signal, useSignal } from "@preact/signals";
import { explain } from "../explain";

export interface Attempt {
  busy: Signal<boolean>;
  /** Empty where nothing went wrong. */
  problem: Signal<string>;
  /** Tells whether it worked. */
  attempt: (work: () => Promise<void>) => Promise<boolean>;
}

export function useAttempt(inWords: (error: unknown) => string = explain, before = ""): Attempt {
  const busy = useSignal(false);
  const problem = useSignal(before);
  const attempt = async (work: () => Promise<void>) => {
    busy.value = true;
    problem.value = "";
    try {
      await work();
      return true;
    } catch (error) {
      problem.value = inWords(error);
      return false;
    } finally {
      busy.value = false;
    }
  };
  return { busy, problem, attempt };
}

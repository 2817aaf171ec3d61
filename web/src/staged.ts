/** What a guest has chosen and not sent yet, and what is known against it before it is sent. */

import type { Chosen } from "./chosen";
import { broken, type Broken, type Rules } from "./rules";

export interface Staged {
  chosen: Chosen;
  /** It was begun before, so it has its place in the drop. */
  resumes: boolean;
}

/** Why each of them cannot be sent; null where nothing is known against it. The drop has `left` places. */
export function refusals(staged: readonly Staged[], rules: Rules, left: number): (Broken | "place" | null)[] {
  let places = left;
  return staged.map(({ chosen, resumes }) => {
    const broke = broken(rules, chosen.file);
    if (broke !== null || resumes) return broke;
    return --places < 0 ? "place" : null;
  });
}

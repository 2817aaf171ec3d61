/** What stands below a file that needs somebody: what happened, in words of what to do, and what helps. */

import type { Entry } from "./entries";
import { canRetry, explain } from "./explain";
import { begunByAPage } from "./fingerprint";
import { t } from "./i18n";
import { reason } from "./reasons";
import type { Upload } from "./uploads";

export interface Notice {
  words: string;
  /** Something went wrong, or else only waits. */
  bad: boolean;
  helps: "again" | "choose" | null;
}

export function noticeOf(
  entry: Entry,
  upload: Upload | undefined,
  troubles: ReadonlyMap<string, unknown>,
): Notice | null {
  const { key, file, state } = entry;
  // An upload of an earlier visit, or of another tab or device: choosing its file again goes on with it.
  const unfinished = state === "uploading" && !upload && file !== null && begunByAPage(file);
  const failed = upload && state === "failed" && file?.status !== "failed";
  const error = troubles.get(key) ?? (failed ? upload.error.value : undefined);
  if (error !== undefined && error !== null)
    return {
      words: explain(error),
      bad: true,
      helps: unfinished ? "choose" : failed && canRetry(error) ? "again" : null,
    };
  if (file && (state === "failed" || state === "aborted")) return { words: reason(file), bad: true, helps: null };
  return unfinished ? { words: t("row.unfinished"), bad: false, helps: "choose" } : null;
}

const LINE_PX = 19;
const CHARACTER_PX = 7.5; // on average, at the size of these words, and rather too much
const MOST_LINES = 5;
const BUTTON_PX = 44;
const GAP_PX = 12;
const BESIDE_PX = 290; // where the words stand beside a button, below the name
const INDENT_PX = 104;

/** The room that it takes in a list of this width: known before it is in the document. */
export function heightOf(notice: Notice, width: number, narrow: boolean): number {
  const room = width - (narrow ? 2 * GAP_PX : notice.helps ? BESIDE_PX : INDENT_PX);
  const lines = Math.min(MOST_LINES, Math.ceil((notice.words.length * CHARACTER_PX) / Math.max(100, room)));
  const words = lines * LINE_PX;
  const button = notice.helps ? BUTTON_PX : 0;
  return GAP_PX + (narrow ? words + button + (button && GAP_PX / 2) : Math.max(words, button));
}

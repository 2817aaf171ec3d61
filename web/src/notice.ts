/** What stands below a file that needs somebody: what happened, in words of what to do. */

import type { Entry } from "./entries";
import { begunByAPage } from "./fingerprint";

/** Whether there is something to say. Its words are the row's, but its room is known before. */
export function hasNotice(entry: Entry, troubles: ReadonlyMap<string, unknown>): boolean {
  return troubles.has(entry.key) || entry.state === "failed" || entry.state === "aborted" || isUnfinished(entry);
}

/** An upload of an earlier visit, or of another tab or device: choosing its file again goes on with it. */
export function isUnfinished(entry: Entry): boolean {
  return entry.state === "uploading" && entry.upload === null && entry.file !== null && begunByAPage(entry.file);
}

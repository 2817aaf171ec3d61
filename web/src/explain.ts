/** Why something failed and what to do about it, in whole sentences. */

import { passes, Problem } from "./api";
import { t } from "./i18n";
import type { MessageName } from "./locales/en";
import { Unreachable } from "./patience";

/** Codes of docs/api.md (Problems) that mean something else to a person at this page than to a program. */
const CODES: Record<string, MessageName> = {
  unauthorized: "problem.unauthorized",
};

export function explain(error: unknown): string {
  if (error instanceof Problem) {
    const name = CODES[error.code];
    if (name) return t(name);
    return error.status >= 500 && error.code !== "busy" ? t("problem.server", { status: error.status }) : error.detail; // in the server's own words, which are English
  }
  if (error instanceof Unreachable) return t(navigator.onLine ? "problem.unreachable" : "problem.offline");
  return error instanceof Error ? error.message : String(error);
}

/** Whether the same may succeed when somebody asks for it again. */
export function canRetry(error: unknown): boolean {
  if (!(error instanceof Problem)) return !(error instanceof DOMException);
  return passes(error) || error.code === "quota_exceeded"; // there may be room by then
}

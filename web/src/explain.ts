/** Why something failed and what to do about it, in whole sentences. */

import { passes, Problem } from "./api";
import { Altered, Broken, Changed, Refused, Withdrawn } from "./failures";
import { bytes, number } from "./format";
import { t } from "./i18n";
import { essence } from "./kinds";
import type { MessageName } from "./locales/en";
import { Unreachable } from "./patience";
import { inWords } from "./type_words";

/** Who reads it: the owner, a guest of a drop, or the recipient of a share. */
export type Reader = "owner" | "guest" | "recipient";

/** Problems (docs/api.md) that need no more than their code. What is not here a visitor of the page does not cause. */
const CODES: Record<string, MessageName> = {
  unauthorized: "problem.unauthorized",
  invalid_token: "problem.sign_in_refused",
  token_expired: "problem.unauthorized",
  wrong_issuer: "problem.sign_in_refused",
  wrong_audience: "problem.sign_in_refused",
  wrong_algorithm: "problem.sign_in_refused",
  unknown_key: "problem.sign_in_refused",
  access_denied: "problem.access_denied",
  sign_in_needed: "problem.sign_in_needed",
  admin_only: "problem.admin_only",
  token_not_found: "tokens.gone",
  sign_in_unavailable: "problem.sign_in_unavailable",
  not_through_cloudfront: "problem.page_stale",
  invalid_capability: "problem.page_stale",
  expired_capability: "problem.page_stale",
  owner_only: "problem.unauthorized",
  share_not_found: "shares.gone",
  drop_not_found: "drops.gone",
  archive_not_found: "problem.archive_gone",
  archive_not_ready: "problem.archive_not_ready",
  archive_empty: "problem.nothing_ready",
  nothing_to_share: "problem.nothing_ready",
  too_many_files: "problem.too_many_files",
  archive_too_large: "problem.too_many_files",
  file_not_found: "problem.file_gone",
  not_found: "problem.page_stale",
  method_not_allowed: "problem.page_stale",
  page_not_built: "problem.page_stale",
  invalid_json: "problem.page_stale",
  invalid_cursor: "problem.page_stale",
  invalid_digest: "problem.page_stale",
  invalid_part_number: "problem.page_stale",
  invalid_part_digest: "problem.page_stale",
  part_digest_needed: "problem.page_stale",
  idempotency_key_reused: "problem.page_stale",
  precondition_failed: "problem.page_stale",
  range_not_satisfiable: "problem.page_stale",
  parts_missing: "problem.parts_differ",
  parts_differ: "problem.parts_differ",
  incomplete_body: "problem.parts_differ",
  digest_mismatch: "problem.parts_differ",
  digests_differ: "problem.digests_differ",
  digests_needed: "problem.digests_differ",
  not_ready: "problem.not_ready",
  wrong_state: "problem.wrong_state",
  conflict: "problem.conflict",
  object_missing: "problem.object_missing",
  object_changed: "problem.object_missing",
  object_forbidden: "problem.object_forbidden",
  invalid_filename: "problem.invalid_filename",
  invalid_folder: "problem.invalid_folder",
  busy: "problem.busy",
};

/** What else a problem means to somebody who was given a link, and who can ask whoever gave it. */
const BY_LINK: Record<string, MessageName> = {
  unauthorized: "link.not_whole",
  invalid_capability: "link.not_whole",
  owner_only: "problem.owner_only",
};
const GUEST: Record<string, MessageName> = {
  ...BY_LINK,
  expired_capability: "guest.ended",
  drop_not_found: "guest.ended",
  drop_full: "guest.full",
  quota_exceeded: "guest.quota",
  file_not_found: "guest.file_gone",
};
const RECIPIENT: Record<string, MessageName> = {
  ...BY_LINK,
  expired_capability: "recipient.ended",
  share_not_found: "recipient.ended",
  share_used_up: "recipient.used_up",
  wrong_password: "recipient.wrong_password",
  too_many_tries: "recipient.too_many_tries",
  file_not_found: "recipient.file_gone",
  object_missing: "recipient.file_gone",
  object_changed: "recipient.file_gone",
  object_forbidden: "recipient.file_gone",
  archive_not_found: "recipient.file_gone",
  archive_not_ready: "recipient.archive_failed",
};
const FOR: Record<Reader, Record<string, MessageName>> = { owner: CODES, guest: GUEST, recipient: RECIPIENT };

/** What "Try again" cannot help, though it may pass for other reasons. */
const HELPED_BY_TRYING = ["quota_exceeded", "parts_missing", "parts_differ", "incomplete_body", "digest_mismatch"];
const HELPED_LATER = ["not_ready", "archive_not_ready"];

export function explain(error: unknown, reader: Reader = "owner"): string {
  if (error instanceof Problem) return problem(error, reader);
  if (error instanceof Unreachable) return t(navigator.onLine ? "problem.unreachable" : "problem.offline");
  if (error instanceof Altered) return t("problem.altered", { times: error.times });
  if (error instanceof Refused)
    return t("problem.refused", { answer: [String(error.status), error.code].join(" ").trim() });
  if (error instanceof Changed) return t("problem.changed");
  if (error instanceof Withdrawn) return t("problem.withdrawn");
  if (error instanceof Broken) return t("problem.broken");
  return t("problem.unknown", { message: error instanceof Error ? error.message : String(error) });
}

/** Whether doing the same again may help, without doing something else first at this page. */
export function canRetry(error: unknown): boolean {
  if (error instanceof Problem) {
    return passes(error) || [...HELPED_BY_TRYING, ...HELPED_LATER].includes(error.code);
  }
  return !(error instanceof Changed || error instanceof Withdrawn || error instanceof Broken);
}

function problem(error: Problem, reader: Reader): string {
  const { limit, used, size, quota, allowed, content_type } = error.members;
  if (error.code === "file_too_large" && typeof limit === "number") {
    const most = bytes(limit);
    return typeof size === "number"
      ? t("problem.file_too_large", { limit: most, size: bytes(size) })
      : t("problem.file_too_large_unknown", { limit: most });
  }
  if (error.code === "content_type_refused" && Array.isArray(allowed)) {
    return t("problem.content_type", { allowed: inWords(allowed.map(String)), type: essence(String(content_type)) });
  }
  if (error.code === "quota_exceeded") {
    if (typeof limit !== "number" || typeof used !== "number") return t("guest.quota"); // strangers learn no numbers
    return quota === "bytes"
      ? t("problem.quota_bytes", { limit: bytes(limit), used: bytes(used) })
      : t("problem.quota_uploads", { limit, used });
  }
  const { [error.code]: said = CODES[error.code] ?? GUEST[error.code] ?? RECIPIENT[error.code] } = FOR[reader];
  if (said !== undefined) return t(said);
  if (error.status === 413) return t("problem.too_large");
  if (error.status === 429 || error.status === 503) return t("problem.busy"); // of a gateway, which knows no codes
  if (error.status >= 500) return t("problem.server", { status: number(error.status) });
  return t("problem.other", { detail: error.detail }); // in the server's own words, which are English
}

/** Why something about a link failed, in the words of who has it: its owner, a guest or a recipient. */

import { Problem } from "./api";
import { explain } from "./explain";
import { t } from "./i18n";
import type { MessageName } from "./locales/en";

/** Codes of docs/api.md (Problems). What a link is refused with means to a person that it is not whole, or over. */
const GUEST: Record<string, MessageName> = {
  unauthorized: "link.not_whole",
  invalid_capability: "link.not_whole",
  expired_capability: "guest.ended",
  drop_not_found: "guest.ended",
  drop_full: "guest.full",
  quota_exceeded: "guest.quota",
  content_type_refused: "guest.type_refused",
  file_not_found: "guest.file_gone",
};
const RECIPIENT: Record<string, MessageName> = {
  unauthorized: "link.not_whole",
  invalid_capability: "link.not_whole",
  expired_capability: "recipient.ended",
  share_not_found: "recipient.ended",
  share_used_up: "recipient.used_up",
  wrong_password: "recipient.wrong_password",
  too_many_tries: "recipient.too_many_tries",
  file_not_found: "recipient.file_gone",
  object_missing: "recipient.file_gone",
  archive_not_found: "recipient.file_gone",
  archive_not_ready: "recipient.archive_failed",
};
const OWNER: Record<string, MessageName> = {
  drop_not_found: "drops.gone",
  share_not_found: "shares.gone",
  nothing_to_share: "shares.nothing",
  too_many_files: "shares.too_many",
};
const FOR = { guest: GUEST, recipient: RECIPIENT, owner: OWNER };

export function refusal(error: unknown, who: keyof typeof FOR): string {
  const name = error instanceof Problem ? FOR[who][error.code] : undefined;
  return name === undefined ? explain(error) : t(name);
}

/** Whether sending the same again may succeed: not where the drop is what refuses it. */
export function mayPass(error: unknown): boolean {
  const forGood = ["drop_full", "drop_not_found", "file_too_large", "content_type_refused", "invalid_filename"];
  return !(error instanceof Problem && [...forGood, "expired_capability", "unauthorized"].includes(error.code));
}

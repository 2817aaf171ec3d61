/** Why a file failed (docs/api.md, Reasons), and what to do about it. */

import type { StoredFile } from "./api";
import { t } from "./i18n";
import type { MessageName } from "./locales/en";

const REASONS: Record<string, MessageName> = {
  size_mismatch: "reason.size_mismatch",
  digest_mismatch: "reason.digest_mismatch",
  checksum_mismatch: "reason.checksum_mismatch",
  object_missing: "reason.object_missing",
  object_changed: "reason.object_changed",
  object_forbidden: "reason.object_forbidden",
  out_of_time: "reason.out_of_time",
  unreadable: "reason.unreadable",
  malware: "reason.malware",
  not_scanned: "reason.not_scanned",
  upload_missing: "reason.upload_missing",
  file_too_large: "reason.file_too_large",
  expired: "reason.expired",
  drop_ended: "reason.drop_ended",
};

export function reason(file: StoredFile): string {
  const name = REASONS[file.reason ?? ""];
  return name ? t(name) : t("reason.other", { reason: file.reason ?? "?" });
}

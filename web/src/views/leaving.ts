/** A question before sending is broken off: by closing the tab, signing out, or cancelling. */

import { bytes } from "../format";
import { t } from "../i18n";
import type { Upload, Uploads } from "../uploads";
import { confirmed } from "./dialog";

let agreed = false;

/** Lets the browser ask before the page goes, while something would be lost by it. */
export function guard(event: BeforeUnloadEvent): void {
  if (!agreed) event.preventDefault();
}

/** Whether the person wants to leave (to sign out, to open another link), though files are being sent. */
export async function mayLeave(uploads: Uploads): Promise<boolean> {
  const open = uploads.unfinished.peek();
  if (open.length === 0) return true;
  const left = open.reduce((sum, { size, sent }) => sum + size - Math.min(size, sent.peek()), 0);
  agreed = await confirmed(
    t("sending.leave_title", { count: open.length }),
    t("sending.leave_detail", { left: bytes(left) }),
    t("sending.leave_yes"),
    t("sending.leave_no"),
  );
  return agreed;
}

/** Cancels these, after a question where bytes have been sent. False where the person wants to go on. */
export async function cancelled(uploads: Uploads, which: readonly Upload[]): Promise<boolean> {
  const sent = which.reduce((sum, upload) => sum + upload.sent.peek(), 0);
  const count = which.length;
  const [only] = which;
  if (sent > 0 && only) {
    const agrees = await confirmed(
      count === 1 ? t("remove.cancel_one", { name: only.name }) : t("sending.cancel_title", { count }),
      t("sending.cancel_detail", { sent: bytes(sent) }),
      t("sending.cancel_yes", { count }),
      t("sending.cancel_no"),
    );
    if (!agrees) return false;
  }
  await uploads.cancelAll(which);
  return true;
}

/** How far a batch of uploads is, added up. */

import type { StoredFile } from "./api";
import { canRetry } from "./explain";
import type { Upload } from "./uploads";

export interface Tally {
  /** All that were not cancelled. */
  files: number;
  bytes: number;
  /** Of these bytes, those that S3 has. */
  sent: number;
  /** What is still to be sent by those that wait for nothing but their turn. */
  left: number;
  active: number;
  paused: number;
  failed: number;
  /** Of those that failed: trying again may help. */
  retryable: number;
  /** All their bytes have arrived; what became of them is one of the four that follow, or it was deleted. */
  arrived: number;
  verified: number;
  hashed: number;
  verifying: number;
  /** Arrived, and found to be other bytes or not readable. */
  spoilt: number;
}

/** `fileOf`: what is known of a file by its id; nothing where it was deleted. */
export function tally(uploads: Iterable<Upload>, fileOf: (id: string) => StoredFile | undefined): Tally {
  const sum: Tally = {
    ...{ files: 0, bytes: 0, sent: 0, left: 0, active: 0, paused: 0, failed: 0, retryable: 0 },
    ...{ arrived: 0, verified: 0, hashed: 0, verifying: 0, spoilt: 0 },
  };
  for (const upload of uploads) {
    const stage = upload.stage.peek();
    if (stage === "cancelled") continue;
    const sent = Math.min(upload.sent.peek(), upload.size);
    sum.files++;
    sum.bytes += upload.size;
    sum.sent += sent;
    if (stage === "waiting" || stage === "sending") {
      sum.active++;
      sum.left += upload.size - sent;
    } else if (stage === "paused") sum.paused++;
    else if (stage === "failed") {
      sum.failed++;
      if (canRetry(upload.error.peek())) sum.retryable++;
    } else {
      sum.arrived++;
      const file = fileOf(upload.id.peek() ?? "");
      if (file) sum[outcome(file)]++;
    }
  }
  return sum;
}

function outcome(file: StoredFile): "verified" | "hashed" | "verifying" | "spoilt" {
  if (file.status === "ready") return file.verified ? "verified" : "hashed";
  return file.status === "failed" || file.status === "aborted" ? "spoilt" : "verifying";
}

/** A worker that computes the SHA-256 of one file, however large it is: browsers have a digest only of what is in memory. */

import { sha256 } from "@noble/hashes/sha2.js";
import { bytesToHex } from "@noble/hashes/utils.js";

const CHUNK_BYTES = 4 * 1024 * 1024;

export type DigestReport =
  { kind: "progress"; bytes: number } | { kind: "digest"; digest: string } | { kind: "failed"; error: unknown };

addEventListener("message", ({ data }: MessageEvent<File>) => void compute(data));

async function compute(file: File): Promise<void> {
  const digest = sha256.create();
  try {
    for (let offset = 0; offset < file.size; offset += CHUNK_BYTES) {
      digest.update(new Uint8Array(await file.slice(offset, offset + CHUNK_BYTES).arrayBuffer()));
      report({ kind: "progress", bytes: Math.min(file.size, offset + CHUNK_BYTES) });
    }
    report({ kind: "digest", digest: bytesToHex(digest.digest()) });
  } catch (error) {
    report({ kind: "failed", error });
  }
}

function report(said: DigestReport): void {
  postMessage(said);
}

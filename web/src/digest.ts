/** The SHA-256 of a local file. Nothing of it is sent, and no more than a few MiB of it are in memory. */

import type { DigestReport } from "./worker-digest";

export function digestOf(file: File, onProgress: (bytes: number) => void, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const worker = new Worker(new URL("./worker-digest.ts", import.meta.url), { type: "module" });
    const fail = (error: unknown) => {
      worker.terminate();
      reject(error instanceof Error ? error : new Error(String(error)));
    };
    signal.addEventListener("abort", () => fail(signal.reason), { once: true });
    worker.onerror = () =>
      fail(new Error("The part of this page that computes digests does not run. Load the page again."));
    worker.onmessage = ({ data }: MessageEvent<DigestReport>) => {
      if (data.kind === "progress") onProgress(data.bytes);
      else if (data.kind === "failed") fail(data.error);
      else {
        worker.terminate();
        resolve(data.digest);
      }
    };
    worker.postMessage(file);
  });
}

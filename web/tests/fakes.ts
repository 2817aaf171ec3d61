/** A courier that holds files in memory, and sends them wherever a test says. */

import type { Answer, Held } from "../src/courier";
import { hex } from "../src/hex";

export interface Put {
  url: string;
  headers: Record<string, string>;
  onProgress: (bytes: number) => void;
  signal: AbortSignal;
}

export class FakeCourier {
  /** What is in memory now, and the most that ever was. */
  holding = 0;
  most = 0;
  holds = 0;

  constructor(
    private readonly put: (put: Put) => Promise<void>,
    private readonly send: (put: Put) => Promise<Answer> = () => Promise.reject(new Error("not asked for")),
  ) {}

  async hold(bytes: Blob, hash: boolean, signal: AbortSignal): Promise<Held> {
    signal.throwIfAborted();
    this.holds++;
    this.most = Math.max(this.most, ++this.holding);
    const digest = await crypto.subtle.digest("SHA-256", await bytes.arrayBuffer());
    let held = true;
    return {
      digest: hash ? hex(new Uint8Array(digest)) : null,
      size: bytes.size,
      put: (url, headers, onProgress, stop) => this.put({ url, headers, onProgress, signal: stop }),
      send: (url, headers, onProgress, stop) => this.send({ url, headers, onProgress, signal: stop }),
      release: () => {
        if (held) this.holding--;
        held = false;
      },
    };
  }
}

/** Resolves never; rejects when it is stopped. */
export function stopped(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error));
  });
}

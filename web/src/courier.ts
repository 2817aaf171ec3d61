/** The main thread's side of the worker: parts that are held in its memory, and sent from there. */

import { Budget } from "./budget";
import { Broken, Changed, Refused } from "./failures";
import { subtle } from "./fingerprint";
import { Unreachable } from "./patience";

const MIB = 1024 * 1024;
// Of all files at once. Parts are 8 to 64 MiB for files up to 625 GiB, so three of the largest of them. While it hashes
// and while it sends, a browser makes a copy of its own: count on three times as much.
const MEMORY_BYTES = 192 * MIB;
// A larger part is not read into memory: it is sent as it lies on the disk, and nobody computes its digest.
const MOST_HELD_BYTES = 512 * MIB;
const MOST_PARTS = 10_000; // of one upload to S3
/** Larger files have parts that are too large to be held, so this page cannot compute their digests. */
const MOST_HASHED_BYTES = MOST_PARTS * MOST_HELD_BYTES;

export type Order =
  | { kind: "hold"; order: number; bytes: Blob; inMemory: boolean; hash: boolean }
  | { kind: "send"; order: number; part: number; url: string; headers: Record<string, string> }
  | { kind: "stop"; order: number }
  | { kind: "release"; part: number };

export type Report =
  | { kind: "held"; order: number; digest: string | null }
  | { kind: "progress"; order: number; loaded: number }
  | { kind: "answered"; order: number; status: number; body: string }
  | { kind: "lost"; order: number }
  | { kind: "failed"; order: number; error: unknown };

/** What a server answered to a PUT. */
export interface Answer {
  status: number;
  body: string;
}

/** A part in the worker's memory. */
export interface Held {
  /** Its SHA-256, where it was computed. */
  digest: string | null;
  size: number;
  /** Sends it to S3. */
  put: (
    url: string,
    headers: Record<string, string>,
    onProgress: (bytes: number) => void,
    signal: AbortSignal,
  ) => Promise<void>;
  /** Sends it to another server, whatever that answers. */
  send: (
    url: string,
    headers: Record<string, string>,
    onProgress: (bytes: number) => void,
    signal: AbortSignal,
  ) => Promise<Answer>;
  /** As often as you like. */
  release: () => void;
}

/** Whether this page can compute the digests of a file of this size. */
export function canHash(size: number): boolean {
  return subtle !== undefined && size <= MOST_HASHED_BYTES;
}

export class Courier {
  private readonly worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  private readonly budget = new Budget(MEMORY_BYTES);
  private readonly listeners = new Map<number, (said: Report) => void>();
  private broken: Error | undefined;
  private last = 0;

  constructor() {
    this.worker.onmessage = ({ data }: MessageEvent<Report>) => this.listeners.get(data.order)?.(data);
    this.worker.onerror = () => {
      this.broken = new Broken("the worker does not run");
      for (const [order, listener] of this.listeners) listener({ kind: "failed", order, error: this.broken });
    };
  }

  /** Reads a part once, as soon as there is room for it, and hashes it where told to. */
  async hold(bytes: Blob, hash: boolean, signal: AbortSignal): Promise<Held> {
    const inMemory = bytes.size <= MOST_HELD_BYTES;
    const giveBack = await this.budget.take(inMemory ? bytes.size : 0, signal);
    const order = ++this.last;
    let held = true;
    const release = () => {
      if (!held) return;
      held = false;
      this.tell({ kind: "release", part: order });
      giveBack();
    };
    try {
      const digest = await this.ask<string | null>({ kind: "hold", order, bytes, inMemory, hash }, (said, end) => {
        if (said.kind === "held") end(said.digest);
      });
      signal.throwIfAborted();
      return {
        digest,
        size: bytes.size,
        put: async (url, headers, onProgress, stop) => {
          const { status, body } = await this.send(order, url, headers, onProgress, stop, "S3");
          if (status >= 300) throw new Refused(status, s3Code(body));
        },
        send: (url, headers, onProgress, stop) => this.send(order, url, headers, onProgress, stop, "The server"),
        release,
      };
    } catch (error) {
      release();
      throw error;
    }
  }

  private async send(
    part: number,
    url: string,
    headers: Record<string, string>,
    onProgress: (bytes: number) => void,
    signal: AbortSignal,
    host: string,
  ): Promise<Answer> {
    signal.throwIfAborted();
    const order = ++this.last;
    const stop = () => this.tell({ kind: "stop", order });
    signal.addEventListener("abort", stop, { once: true });
    try {
      return await this.ask<Answer>({ kind: "send", order, part, url, headers }, (said, end) => {
        if (said.kind === "progress") onProgress(said.loaded);
        else if (said.kind === "lost") throw signal.aborted ? signal.reason : new Unreachable(host);
        else if (said.kind === "answered") end({ status: said.status, body: said.body });
      });
    } finally {
      signal.removeEventListener("abort", stop);
    }
  }

  /** Resolves with what `hear` ends with, rejects with what it throws. */
  private ask<T>(order: Extract<Order, { order: number }>, hear: (said: Report, end: (value: T) => void) => void) {
    return new Promise<T>((resolve, reject) => {
      const fail = (error: unknown) => reject(error instanceof Error ? error : new Error(String(error)));
      if (this.broken) {
        fail(this.broken);
        return;
      }
      const leave = () => this.listeners.delete(order.order);
      this.listeners.set(order.order, (said) => {
        try {
          if (said.kind === "failed") throw isOfTheDisk(said.error) ? new Changed("the file changed") : said.error;
          hear(said, (value) => {
            leave();
            resolve(value);
          });
        } catch (error) {
          leave();
          fail(error);
        }
      });
      this.tell(order);
    });
  }

  private tell(order: Order): void {
    this.worker.postMessage(order);
  }
}

/** Browsers refuse to read a file whose time on the disk is not that of when it was chosen, and one that is gone. */
function isOfTheDisk(error: unknown): boolean {
  return error instanceof DOMException && ["NotReadableError", "NotFoundError"].includes(error.name);
}

function s3Code(answer: string): string {
  return /<Code>(\w+)<\/Code>/.exec(answer)?.[1] ?? "";
}

/**
 * One file's way into S3. Each part is read once into memory, hashed, and sent from that memory to a URL that is locked
 * to its digest; at the end `complete` says every digest once more. A part that S3 has from an earlier run is read and
 * hashed as well, and sent again only where its digest is another one.
 *
 * A file whose digests this page cannot compute goes the same way without them.
 */

import { type Api, Problem } from "./api";
import type { CompleteFile, CreatedFile, FileInfo, Part, ReceivedPart } from "./contract";
import type { Courier, Held } from "./courier";
import { Altered, Refused } from "./failures";
import { patiently, Unreachable } from "./patience";

// A browser opens six connections to one host over HTTP/1.1, which S3 speaks: these, for each of two files at once.
const PARALLEL_PARTS = 3;
const ATTEMPTS = 7; // half a minute without a connection, besides the time that the device knows to be offline
// What S3 says of bytes that are not those of their checksum: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
const ALTERED = ["BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"];
const ALTERED_ATTEMPTS = 4; // a flipped bit is an accident, four in a row are not
const ROUNDS = 3; // of asking what is missing when S3 has other parts than were sent
const URLS = 100; // asked for at once

export const PART_DIGEST = "sha-256";

/** The reason of a signal by which somebody pauses: what goes on later may lose as little as can be. */
export class Paused extends Error {}

/** What stops a transfer: a pause, or for good. */
export interface Stops {
  pause: AbortSignal;
  cancel: AbortSignal;
}

export class Transfer {
  private received = new Map<number, ReceivedPart>();
  private readonly arrived = new Map<number, number>(); // bytes of each part
  private sum = 0;
  private readonly urls = new Map<number, Part>();
  private readonly locked: boolean;
  private readonly partSize: number;
  private readonly partCount: number;

  /**
   * `digests`: those of the parts that were read before. `first`: the only part of the file, where it is held already.
   * `onProgress`: how many bytes S3 has, and how many more went over the network, which is another number after a
   * reload and when a part is sent again.
   */
  constructor(
    private readonly api: Api,
    private readonly courier: Pick<Courier, "hold">,
    private readonly upload: CreatedFile,
    private readonly data: Blob,
    private readonly digests: Map<number, string>,
    private readonly first: Held | undefined,
    private readonly onProgress: (arrived: number, sent: number) => void,
  ) {
    const { part_size, part_count } = upload;
    if (part_size === null || part_count === null) throw new Error("a file of known size has parts of known size");
    this.partSize = part_size;
    this.partCount = part_count;
    this.locked = upload.part_digest === PART_DIGEST;
    this.learn(upload.received);
    for (const part of upload.parts) this.urls.set(part.number, part);
  }

  /**
   * Sends what S3 does not have yet, says how many bytes it has, and completes. For good it stops at once. A pause lets
   * parts finish that are more than half sent: at 1 Mbit/s a part of 8 MiB is a minute's work, and S3 keeps whole parts
   * alone.
   */
  async run({ pause, cancel }: Stops): Promise<FileInfo> {
    const signal = AbortSignal.any([pause, cancel]);
    for (let round = 1; ; round++) {
      await this.sendAll(signal, cancel);
      try {
        return await this.api.complete(this.upload.id, this.completion(), signal);
      } catch (error) {
        const other = error instanceof Problem && ["parts_missing", "parts_differ"].includes(error.code);
        if (round === ROUNDS || !other) throw error;
        this.learn((await this.api.parts(this.upload.id, signal)).received);
      }
    }
  }

  private completion(): CompleteFile {
    const whole = this.upload.mode === "single" ? this.digests.get(1) : undefined;
    if (whole !== undefined) return { digests: { [PART_DIGEST]: whole } };
    if (!this.locked) return {};
    return { parts: [...this.digests].map(([number, digest]) => ({ number, digest })) };
  }

  private learn(received: ReceivedPart[]): void {
    this.received = new Map(received.map((part) => [part.number, part]));
    this.arrived.clear();
    for (const { number, size } of received) this.arrived.set(number, size);
    this.sum = received.reduce((sum, { size }) => sum + size, 0);
    this.onProgress(this.sum, 0);
  }

  private progress(number: number, bytes: number): void {
    const more = bytes - (this.arrived.get(number) ?? 0);
    this.sum += more;
    this.arrived.set(number, bytes);
    this.onProgress(Math.min(this.sum, this.data.size), Math.max(0, more));
  }

  /** All parts, a few at a time. The first that fails stops the others; nothing of them goes on after the end. */
  private async sendAll(signal: AbortSignal, cancel: AbortSignal): Promise<void> {
    const failed = new AbortController();
    const stop = AbortSignal.any([signal, failed.signal]);
    const atOnce = AbortSignal.any([cancel, failed.signal]);
    let last = 0;
    const sender = async () => {
      try {
        while (last < this.partCount) {
          stop.throwIfAborted();
          await this.send(++last, stop, atOnce);
        }
      } catch (error) {
        if (!signal.aborted) failed.abort(error);
        throw error;
      }
    };
    const ends = await Promise.allSettled(Array.from({ length: PARALLEL_PARTS }, sender));
    stop.throwIfAborted();
    for (const end of ends) if (end.status === "rejected") throw end.reason;
  }

  private async send(number: number, stop: AbortSignal, atOnce: AbortSignal): Promise<void> {
    const there = this.received.get(number);
    // Without digests it is this tab that sent it; the URL of a whole file takes no other bytes.
    if (there && (!this.locked || there.digest === this.digests.get(number))) return;
    const held = this.first ?? (await this.hold(number, stop));
    try {
      if (held.digest !== null) this.digests.set(number, held.digest);
      if (there && there.digest === held.digest) return;
      await this.put(number, held, stop, atOnce);
      this.progress(number, held.size);
    } finally {
      if (held !== this.first) held.release();
    }
  }

  private hold(number: number, stop: AbortSignal): Promise<Held> {
    const offset = (number - 1) * this.partSize;
    const hash = this.locked || this.digests.has(number);
    return this.courier.hold(this.data.slice(offset, offset + this.partSize), hash, stop);
  }

  private async put(number: number, held: Held, stop: AbortSignal, atOnce: AbortSignal): Promise<void> {
    let signed = await this.url(number, held, stop);
    const again = async () => {
      signed = await this.freshUrl(number, held, stop);
    };
    const once = async () => {
      const part = new AbortController();
      const giveUp = () => {
        const nearlyDone = !atOnce.aborted && 2 * (this.arrived.get(number) ?? 0) > held.size;
        if (!nearlyDone) part.abort(stop.reason);
      };
      stop.addEventListener("abort", giveUp, { once: true });
      atOnce.addEventListener("abort", giveUp, { once: true });
      try {
        await held.put(signed.url, signed.headers, (bytes) => this.progress(number, bytes), part.signal);
      } catch (error) {
        if (!(error instanceof Refused && error.status === 412)) this.progress(number, 0); // S3 keeps no half of a part
        // S3 refuses a URL whose time is over before it has read the part, and not every browser hears why.
        if (error instanceof Unreachable && Date.parse(signed.expires_at) <= Date.now()) await again();
        throw error;
      } finally {
        stop.removeEventListener("abort", giveUp);
        atOnce.removeEventListener("abort", giveUp);
      }
    };
    let altered = 0;
    for (let renewed = false; ;) {
      try {
        await patiently(once, passes, ATTEMPTS, stop);
        return;
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (error.status === 412) return; // these bytes are there already: the answer to an earlier attempt was lost
        if (ALTERED.includes(error.code)) {
          if (++altered === ALTERED_ATTEMPTS) throw new Altered(altered);
        } else if (renewed) {
          throw error;
        } else {
          // The URL's time is over, or the upload was given up elsewhere, which the API says when it is asked for another.
          renewed = true;
          await again();
        }
      }
    }
  }

  private async url(number: number, held: Held, stop: AbortSignal): Promise<Part> {
    const known = this.urls.get(number);
    if (known || this.locked) return known ?? (await this.freshUrl(number, held, stop));
    const most = Math.min(number + URLS - 1, this.partCount);
    const { parts } = await this.api.parts(this.upload.id, stop, `${number}-${most}`);
    for (const part of parts) this.urls.set(part.number, part);
    return only(parts.slice(0, 1));
  }

  private async freshUrl(number: number, held: Held, stop: AbortSignal): Promise<Part> {
    const { id } = this.upload;
    const answer =
      this.locked && held.digest !== null
        ? await this.api.lockedParts(id, [{ number, digest: held.digest }], stop)
        : await this.api.parts(id, stop, String(number));
    return only(answer.parts);
  }
}

function only([part]: Part[]): Part {
  if (!part) throw new Error("the server gave no URL for a part");
  return part;
}

function passes(error: unknown): boolean {
  return error instanceof Unreachable || (error instanceof Refused && (error.status >= 500 || error.status === 429));
}

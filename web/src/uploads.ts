/** What is sent from this tab: a queue of files, each of which can be paused, resumed, tried again and cancelled. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";
import { type Api, Problem, type StoredFile } from "./api";
import type { CreatedFile, FileInfo } from "./contract";
import { canHash, Courier, type Held } from "./courier";
import { fingerprint } from "./fingerprint";
import { folderOf } from "./folder";
import { Speed } from "./speed";
import { PART_DIGEST, Transfer } from "./transfer";

const FILES_AT_ONCE = 2;
const COMPLETE = ["assembling", "hashing", "ready"];
const MAX_SINGLE_PUT_BYTES = 8 * 1024 * 1024; // docs/api.md: up to this size a file is one PUT

/** A file that was chosen or dropped. `path` has its folder, where it came with one: `a/b/name`. */
export interface Chosen {
  file: File;
  path: string;
}

/**
 * `waiting` for its turn, `sending`, `paused` by the person, `failed` with an `error` and resumable, `sent` when all parts
 * have arrived (what becomes of them is the file's own status), `cancelled` for good.
 */
export type Stage = "waiting" | "sending" | "paused" | "failed" | "sent" | "cancelled";

/** One file on its way from this tab. */
export class Upload {
  readonly stage = signal<Stage>("waiting");
  /** Bytes that S3 has, those of an earlier run among them. */
  readonly sent = signal(0);
  readonly error = signal<unknown>(null);
  /** The id of the file at the server, as soon as there is one. */
  readonly id = signal<string | null>(null);
  /** Of its parts, by number: those that were read already. */
  readonly digests = new Map<number, string>();
  /** Stops the current attempt. */
  attempt = new AbortController();

  constructor(
    readonly key: string,
    readonly chosen: Chosen,
  ) {}

  get name(): string {
    return this.chosen.file.name;
  }

  get size(): number {
    return this.chosen.file.size;
  }

  get folder(): string | null {
    return folderOf(this.chosen.path);
  }
}

export class Uploads {
  private readonly list = signal<readonly Upload[]>([]);
  private readonly courier = new Courier();
  private readonly measured = new Speed();
  private running = 0;
  private last = 0;

  /** `onFile` is told what the server says of a file that this tab sends; `onGone` that one was given up. */
  constructor(
    private readonly api: Api,
    private readonly onFile: (file: StoredFile) => void,
    private readonly onGone: (id: string) => void,
  ) {}

  /** In the order of choosing. */
  get all(): ReadonlySignal<readonly Upload[]> {
    return this.list;
  }

  /** Those that are not at their end: waiting, sending or paused. */
  readonly unfinished = computed(() =>
    this.list.value.filter(({ stage }) => ["waiting", "sending", "paused"].includes(stage.value)),
  );

  /** Of what was sent since this page began to send. */
  get speed(): Speed {
    return this.measured;
  }

  /** The upload that sends the file with this id. */
  of(id: string): Upload | undefined {
    return this.list.value.find((upload) => upload.id.value === id);
  }

  /** Queues them. Returns those that are on their way already, which are left out. */
  add(chosen: readonly Chosen[]): Chosen[] {
    const same = (one: Chosen, other: Chosen) =>
      one.path === other.path &&
      one.file.name === other.file.name &&
      one.file.size === other.file.size &&
      one.file.lastModified === other.file.lastModified;
    const known = this.list.value.filter(({ stage }) => stage.value !== "cancelled");
    const doubles = chosen.filter((one) => known.some((upload) => same(upload.chosen, one)));
    const added = chosen.filter((one) => !doubles.includes(one)).map((one) => new Upload(`upload-${++this.last}`, one));
    this.list.value = [...this.list.value, ...added];
    this.next();
    return doubles;
  }

  pause(upload: Upload): void {
    if (upload.stage.value !== "waiting" && upload.stage.value !== "sending") return;
    upload.stage.value = "paused";
    upload.attempt.abort();
  }

  /** Goes on with what is paused or has failed. */
  resume(upload: Upload): void {
    if (upload.stage.value !== "paused" && upload.stage.value !== "failed") return;
    upload.error.value = null;
    upload.stage.value = "waiting";
    this.next();
  }

  /** Who takes a file away before it has been sent does not want it sent. */
  async cancel(upload: Upload): Promise<void> {
    upload.stage.value = "cancelled";
    upload.attempt.abort();
    const id = upload.id.value;
    if (id === null) return;
    try {
      await this.api.remove(id);
      this.onGone(id);
    } catch (error) {
      upload.stage.value = "failed";
      upload.error.value = error;
    }
  }

  private next(): void {
    while (this.running < FILES_AT_ONCE) {
      const upload = this.list.value.find(({ stage }) => stage.value === "waiting");
      if (!upload) return;
      this.running++;
      void this.run(upload).finally(() => {
        this.running--;
        this.next();
      });
    }
  }

  private async run(upload: Upload): Promise<void> {
    upload.stage.value = "sending";
    upload.attempt = new AbortController();
    const { signal } = upload.attempt;
    try {
      const file = await this.send(upload, signal);
      upload.stage.value = "sent";
      this.onFile(file);
    } catch (error) {
      if (signal.aborted) return; // paused or cancelled
      upload.error.value = error;
      upload.stage.value = "failed";
    }
  }

  private async send(upload: Upload, signal: AbortSignal): Promise<FileInfo> {
    const data = upload.chosen.file;
    const known = await this.known(upload, signal);
    // Completing is stopped by a pause, or its answer was lost: what is complete would be sent once more.
    if (known && COMPLETE.includes(known.status)) return known;
    // One PUT is promised with the digest of its bytes, so they are read before.
    const small = data.size <= MAX_SINGLE_PUT_BYTES && !known && canHash(data.size);
    const held = small ? await this.courier.hold(data, true, signal) : undefined;
    if (held?.digest) upload.digests.set(1, held.digest);
    try {
      const begun = known ? { ...known, ...(await this.api.parts(known.id, signal)) } : await this.begin(upload, held);
      signal.throwIfAborted();
      this.onFile(begun);
      return await new Transfer(this.api, this.courier, begun, data, upload.digests, held, (bytes) => {
        this.progress(upload, bytes);
      }).run(signal);
    } finally {
      held?.release();
    }
  }

  private progress(upload: Upload, bytes: number): void {
    this.measured.add(bytes - upload.sent.peek(), performance.now());
    upload.sent.value = bytes;
  }

  /** What has become of an upload that this tab began; nothing where it has to begin anew. */
  private async known(upload: Upload, signal: AbortSignal): Promise<FileInfo | undefined> {
    const id = upload.id.value;
    if (id === null) return undefined;
    try {
      const file = await this.api.file(id, signal);
      return file.status === "uploading" || COMPLETE.includes(file.status) ? file : undefined;
    } catch (error) {
      if (error instanceof Problem && error.code === "file_not_found") return undefined;
      throw error;
    }
  }

  /** Not stopped by a signal: what the server has begun has to be known here, or nobody could cancel it. */
  private async begin(upload: Upload, held: Held | undefined): Promise<CreatedFile> {
    const { file: data, path } = upload.chosen;
    // Whoever goes on with an upload has to have digests. Without them there is nothing to go on by.
    const mark = canHash(data.size) ? await fingerprint(data, path) : null;
    const locked = held?.digest ? { digests: { [PART_DIGEST]: held.digest } } : ({ part_digest: PART_DIGEST } as const);
    const begun = await this.api.begin({
      filename: data.name,
      folder: upload.folder,
      size: data.size,
      content_type: data.type, // empty where the browser does not know it: then the server goes by the name
      ...(mark === null ? {} : { fingerprint: mark, ...locked }),
    });
    upload.id.value = begun.id;
    if (upload.stage.value === "cancelled") await this.cancel(upload);
    return begun;
  }
}

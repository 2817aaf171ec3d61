/** What is sent from this tab: a queue of files, each of which can be paused, resumed, tried again and cancelled. */

import { batch, computed, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import { type Api, ARRIVED, Problem, type StoredFile } from "./api";
import type { Chosen } from "./chosen";
import type { CreatedFile, FileInfo } from "./contract";
import { canHash, Courier, type Held } from "./courier";
import { Changed, Refused, Withdrawn } from "./failures";
import { fingerprint } from "./fingerprint";
import { folderOf } from "./folder";
import { Unreachable } from "./patience";
import { recordOf } from "./session";
import { Speed } from "./speed";
import { PART_DIGEST, Paused, type Stops, Transfer } from "./transfer";

export type { Chosen } from "./chosen";

const KIB = 1024;
const MIB = 1024 * KIB;
// A browser opens six connections to one host over HTTP/1.1. A file of many parts sends three of them at once.
const MULTIPART_FILES_AT_ONCE = 2;
const SINGLE_FILES_AT_ONCE = 6;
const MAX_SINGLE_PUT_BYTES = 8 * MIB; // docs/api.md: up to this size a file is one PUT
// Up to here a file is sent by one request to the API instead of three, the second of which is to S3. The API takes up
// to 4 MiB. More than this passes through a function and its gateway for nothing: the two requests that are saved take
// some 0.1 s, and 1 MiB takes as long at 80 Mbit/s.
const MAX_WHOLE_BYTES = MIB;
const CHANGES_MS = 250; // how often totals are worth adding up: ten thousand files take a millisecond

const OPEN: readonly string[] = ["waiting", "sending", "paused"] satisfies Stage[];

/**
 * `waiting` for its turn, `sending`, `paused` by the person, `failed` with an `error` and resumable, `sent` when all parts
 * have arrived (what becomes of them is the file's own status), `cancelled` for good.
 */
export type Stage = "waiting" | "sending" | "paused" | "failed" | "sent" | "cancelled";

/** The upload is not at the server any more, and nobody gave it up: it begins anew. */
class Gone extends Error {}

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
  /** Stops the current attempt; what was given up for good is not begun again. */
  pause = new AbortController();
  cancel = new AbortController();
  /** The attempt that runs, if one does. A pause lets it finish what is nearly done. */
  attempt: Promise<void> = Promise.resolve();
  /** How often it began anew, because the server had lost or deleted it. */
  lives = 0;
  /** The number of the batch that it belongs to. */
  batch = 0;
  // Asked of the browser and worked out once: the list reads them of a thousand files many times a second.
  readonly name: string;
  readonly size: number;
  readonly folder: string | null;

  constructor(
    readonly key: string,
    readonly chosen: Chosen,
  ) {
    this.name = chosen.file.name;
    this.size = chosen.file.size;
    this.folder = folderOf(chosen.path);
  }
}

/** Files that wait for the same thing: those of one request, or those of many parts. */
class Lane {
  running = 0;
  readonly queue = new Set<Upload>();

  constructor(readonly atOnce: number) {}

  /** The next one whose turn it is. */
  take(): Upload | undefined {
    if (this.running >= this.atOnce) return undefined;
    const [first] = this.queue;
    if (first) this.queue.delete(first);
    return first;
  }

  /** Somebody waits for this one. */
  first(upload: Upload): void {
    const others = [...this.queue];
    this.queue.clear();
    for (const one of [upload, ...others]) this.queue.add(one);
  }
}

export class Uploads {
  private readonly list = signal<readonly Upload[]>([]);
  private readonly current = signal<readonly Upload[]>([]);
  private readonly ticks = signal(0);
  private readonly moved = signal(0);
  private timer: ReturnType<typeof setTimeout> | undefined;
  private readonly open = new Set<Upload>();
  private readonly opened = signal(0);
  private readonly atServer = new Set<Upload>(); // those of the open ones that have an id
  private readonly checked = new Set<string>();
  private readonly byIdentity = new Map<string, Upload>();
  private readonly byPlace = new Map<string, Upload>();
  private readonly byId = new Map<string, Signal<Upload | undefined>>();
  private readonly takenAway = signal<readonly Upload[]>([]);
  private readonly measured = new Speed();
  private readonly single = new Lane(SINGLE_FILES_AT_ONCE);
  private readonly multipart = new Lane(MULTIPART_FILES_AT_ONCE);
  /** A file by one request is for access tokens alone; a capability begins uploads. */
  private readonly byLink: boolean;
  private last = 0;
  private batches = 0;

  /** `onFile` is told what the server says of a file that this tab sends; `onGone` that one was given up. */
  constructor(
    private readonly api: Api,
    private readonly onFile: (file: StoredFile) => void,
    private readonly onGone: (id: string) => void,
    private readonly courier: Pick<Courier, "hold"> = new Courier(),
  ) {
    this.byLink = recordOf(api.bearer) !== null;
  }

  /** In the order of choosing. */
  get all(): ReadonlySignal<readonly Upload[]> {
    return this.list;
  }

  /** What was chosen since nothing was left to be sent, and what was tried again since then. */
  get batch(): ReadonlySignal<readonly Upload[]> {
    return this.current;
  }

  /** Those that are not at their end: waiting, sending or paused. */
  readonly unfinished: ReadonlySignal<readonly Upload[]> = computed(() =>
    this.opened.value > 0 ? [...this.open] : [],
  );

  /** Those that somebody gave up elsewhere. */
  get withdrawn(): ReadonlySignal<readonly Upload[]> {
    return this.takenAway;
  }

  /** Rises while something goes on, four times a second: often enough to add up how far all of it is. */
  get changes(): ReadonlySignal<number> {
    return this.ticks;
  }

  /** Counts the changes of stages and of ids: who follows all uploads need not follow each. */
  get moves(): ReadonlySignal<number> {
    return this.moved;
  }

  /** Of what was sent since this page began to send, without a break. */
  get speed(): Speed {
    return this.measured;
  }

  /** The upload that sends the file with this id. Reading it follows whether there is one. */
  of(id: string): Upload | undefined {
    return this.entry(id).value;
  }

  /**
   * Queues them, and goes on with those that are paused or have failed. Returns those that are on their way, or there,
   * already, which are left out. `isThere` says whether a file that was sent has not been deleted since.
   */
  add(chosen: readonly Chosen[], isThere: (id: string) => boolean = () => true): Chosen[] {
    const doubles: Chosen[] = [];
    const added: Upload[] = [];
    let mends = false; // something that failed of the batch
    batch(() => {
      for (const one of chosen) {
        const earlier = this.byIdentity.get(identity(one));
        const stage = earlier?.stage.peek();
        const deleted = stage === "sent" && !isThere(earlier?.id.peek() ?? "");
        if (!earlier || stage === "cancelled" || deleted) {
          if (this.replaces(one)) mends = true;
          added.push(this.begun(one));
        } else if (stage === "paused" || stage === "failed") {
          if (earlier.cancel.signal.aborted) earlier.cancel = new AbortController(); // who chooses it again wants it sent
          this.resume(earlier);
        } else doubles.push(one);
      }
      if (added.length === 0) return;
      if (!mends) this.joinOrBegin();
      this.list.value = [...this.list.value, ...added];
      this.current.value = [...this.current.value, ...added];
      for (const upload of added) {
        upload.batch = this.batches;
        this.become(upload, "waiting");
      }
      this.tick();
    });
    this.next();
    return doubles;
  }

  /** Goes on with what an earlier visit began. False where this is another file than the one that it began with. */
  async goOn(begun: StoredFile, file: File): Promise<boolean> {
    const folders = begun.folder ? [`${begun.folder}/${file.name}`] : [];
    for (const path of [file.webkitRelativePath, "", ...folders]) {
      if ((await fingerprint(file, path)) !== begun.fingerprint) continue;
      this.add([{ file, path }]);
      return true;
    }
    return false;
  }

  pause(upload: Upload): void {
    const stage = upload.stage.peek();
    if (stage !== "waiting" && stage !== "sending") return;
    this.become(upload, "paused");
    upload.pause.abort(new Paused("paused"));
  }

  /** Goes on with what is paused or has failed, before what only waits. */
  resume(upload: Upload): void {
    if (!this.again(upload)) return;
    this.laneOf(upload).first(upload);
    this.next();
  }

  pauseAll(): void {
    batch(() => {
      for (const upload of this.open) this.pause(upload);
    });
  }

  resumeAll(): void {
    batch(() => {
      for (const upload of this.open) this.again(upload);
    });
    this.next();
  }

  /** Tries again what has failed of the batch. */
  retryAll(): void {
    batch(() => {
      for (const upload of this.current.peek()) if (upload.stage.peek() === "failed") this.again(upload);
    });
    this.next();
  }

  /** Who takes a file away before it has been sent does not want it sent. */
  async cancel(upload: Upload): Promise<void> {
    this.become(upload, "cancelled");
    upload.cancel.abort(new Error("cancelled"));
    await upload.attempt; // what the server has begun meanwhile has to be known, or nobody could give it up
    const id = upload.id.peek();
    if (id === null) return;
    try {
      await this.api.remove(id);
      this.onGone(id);
    } catch (error) {
      if (error instanceof Problem && error.code === "file_not_found") this.onGone(id);
      else if (error instanceof Problem && error.code === "wrong_state") await this.keepArrived(upload, id);
      else this.fail(upload, error);
    }
  }

  /** It arrived before it could be cancelled. */
  private async keepArrived(upload: Upload, id: string): Promise<void> {
    const file = await this.stored(id).catch(() => null); // that it has arrived is then all that is known
    batch(() => {
      if (file) this.onFile(file);
      this.become(upload, "sent");
    });
  }

  /** Cancels these, or all that are not at their end. */
  async cancelAll(which: readonly Upload[] = [...this.open]): Promise<void> {
    const ends: Promise<void>[] = [];
    batch(() => {
      for (const upload of which) {
        // While the question was open it may have come to its end.
        if (this.open.has(upload) || upload.stage.peek() === "failed") ends.push(this.cancel(upload));
      }
    });
    await Promise.all(ends);
  }

  /** Looks what has become of uploads that vanished from the list: somebody may have given them up elsewhere. */
  check(isThere: (id: string) => boolean): void {
    for (const upload of this.atServer) {
      const id = upload.id.peek() ?? "";
      if (isThere(id)) this.checked.delete(id);
      if (isThere(id) || this.checked.has(id)) continue;
      this.checked.add(id);
      void this.stopIfWithdrawn(upload, id);
    }
  }

  private async stopIfWithdrawn(upload: Upload, id: string): Promise<void> {
    const file = await this.stored(id).catch(() => undefined); // without an answer it is the transfer that finds out
    if (!file || !isWithdrawn(file) || !this.open.has(upload)) return;
    upload.cancel.abort(new Withdrawn());
    await upload.attempt;
    this.withdraw(upload);
  }

  private entry(id: string): Signal<Upload | undefined> {
    let entry = this.byId.get(id);
    if (!entry) {
      entry = signal(undefined);
      this.byId.set(id, entry);
    }
    return entry;
  }

  /**
   * Gives up what was sent of the same file before it changed, which is no use to anybody. Tells whether that belongs to
   * the batch, as what is chosen in its place then does.
   */
  private replaces(chosen: Chosen): boolean {
    const stale = this.byPlace.get(place(chosen));
    if (!(stale?.error.peek() instanceof Changed) || stale.stage.peek() !== "failed") return false;
    void this.cancel(stale);
    return stale.batch === this.batches;
  }

  private begun(chosen: Chosen): Upload {
    const upload = new Upload(`upload-${++this.last}`, chosen);
    this.byIdentity.set(identity(chosen), upload);
    this.byPlace.set(place(chosen), upload);
    return upload;
  }

  /** What is chosen while files are sent belongs to them. */
  private joinOrBegin(): void {
    if (this.open.size > 0) return;
    this.batches++;
    this.current.value = [];
  }

  private again(upload: Upload): boolean {
    const stage = upload.stage.peek();
    if (stage !== "paused" && stage !== "failed") return false;
    if (upload.cancel.signal.aborted) {
      void this.cancel(upload); // what failed was the cancelling
      return false;
    }
    if (upload.batch !== this.batches) {
      this.joinOrBegin();
      upload.batch = this.batches;
      this.current.value = [...this.current.peek(), upload];
    }
    upload.error.value = null;
    this.become(upload, "waiting");
    return true;
  }

  private laneOf(upload: Upload): Lane {
    return upload.size <= MAX_SINGLE_PUT_BYTES ? this.single : this.multipart;
  }

  /** The only place where a stage changes. */
  private become(upload: Upload, stage: Stage): void {
    batch(() => {
      upload.stage.value = stage;
      this.moved.value = this.moved.peek() + 1;
      const { queue } = this.laneOf(upload);
      if (stage === "waiting") queue.add(upload);
      else queue.delete(upload);
      const isOpen = OPEN.includes(stage);
      if (isOpen && upload.id.peek() !== null) this.atServer.add(upload);
      if (!isOpen) this.atServer.delete(upload);
      if (isOpen !== this.open.has(upload)) {
        if (isOpen) this.open.add(upload);
        else this.open.delete(upload);
        this.opened.value++;
      }
      if (this.open.size === 0) this.tick();
      else this.touch();
    });
  }

  private fail(upload: Upload, error: unknown): void {
    upload.error.value = error;
    this.become(upload, "failed");
  }

  private withdraw(upload: Upload): void {
    if (upload.stage.peek() === "cancelled") return;
    const id = upload.id.peek();
    batch(() => {
      upload.error.value = new Withdrawn();
      this.become(upload, "cancelled");
      this.takenAway.value = [...this.takenAway.peek(), upload];
      if (id !== null) this.onGone(id);
    });
  }

  /** Totals are added up now, or in a moment together with whatever else changes until then. */
  private tick(): void {
    this.ticks.value = this.ticks.peek() + 1;
  }

  private touch(): void {
    this.timer ??= setTimeout(() => {
      this.timer = undefined;
      this.tick();
      if (this.isRunning()) this.touch(); // the time that is left changes even while nothing arrives
    }, CHANGES_MS);
  }

  private isRunning(): boolean {
    return this.single.running + this.multipart.running > 0;
  }

  private next(): void {
    for (const lane of [this.single, this.multipart]) {
      for (let upload = lane.take(); upload; upload = lane.take()) this.start(upload, lane);
    }
  }

  private start(upload: Upload, lane: Lane): void {
    lane.running++;
    this.become(upload, "sending");
    upload.pause = new AbortController();
    const stops = { pause: upload.pause.signal, cancel: upload.cancel.signal };
    // A pause may still be finishing a part of the attempt before.
    upload.attempt = upload.attempt
      .then(() => this.run(upload, stops))
      .finally(() => {
        lane.running--;
        if (!this.isRunning()) this.measured.reset();
        this.next();
      });
  }

  private async run(upload: Upload, stops: Stops): Promise<void> {
    if (upload.stage.peek() === "sent") return; // by the attempt before, which a pause let finish
    try {
      const file = await this.send(upload, stops);
      if (stops.cancel.aborted) return;
      batch(() => {
        upload.sent.value = upload.size;
        this.onFile(file);
        this.become(upload, "sent");
      });
    } catch (error) {
      if (stops.cancel.aborted || stops.pause.aborted) return;
      await this.settle(upload, error, stops);
    }
  }

  /** What failed may have been given up elsewhere, or be gone, or have arrived all the same: the server knows. */
  private async settle(upload: Upload, error: unknown, { pause, cancel }: Stops): Promise<void> {
    const id = upload.id.peek();
    let cause = error;
    if (id !== null && isDoubtful(error)) {
      try {
        const file = await this.stored(id);
        if (cancel.aborted) return;
        if (file === null) cause = new Gone();
        else if (isWithdrawn(file)) cause = new Withdrawn();
        else if (file.status === "aborted" && file.reason === "drop_ended")
          cause = new Problem(404, "drop_not_found", "");
        else if (file.status === "aborted") cause = new Gone();
        else if (file.status !== "uploading") {
          this.onFile(file);
          this.become(upload, "sent");
          return;
        }
      } catch {
        // The server cannot be asked, so the first error stands.
      }
    }
    if (cancel.aborted) return;
    if (cause instanceof Withdrawn) this.withdraw(upload);
    else if (pause.aborted)
      return; // who resumes it meets the same again, if it is still there
    else if (cause instanceof Gone && upload.lives === 0) {
      this.forget(upload);
      this.become(upload, "waiting");
    } else this.fail(upload, cause instanceof Gone ? error : cause);
  }

  /** Nothing of it is at the server. */
  private forget(upload: Upload): void {
    const id = upload.id.peek();
    if (id !== null) {
      this.entry(id).value = undefined;
      this.onGone(id);
    }
    this.atServer.delete(upload);
    upload.lives++;
    upload.id.value = null;
    this.moved.value = this.moved.peek() + 1;
    upload.sent.value = 0;
    upload.digests.clear();
  }

  private async send(upload: Upload, stops: Stops): Promise<FileInfo> {
    const signal = AbortSignal.any([stops.pause, stops.cancel]);
    signal.throwIfAborted();
    const data = upload.chosen.file;
    const known = await this.known(upload, signal);
    // Completing is stopped by a pause, or its answer was lost: what is complete would be sent once more.
    if (known && ARRIVED.includes(known.status)) return known;
    // One PUT is promised with the digest of its bytes, so they are read before.
    const small = data.size <= MAX_SINGLE_PUT_BYTES && !known && canHash(data.size);
    const held = small ? await this.courier.hold(data, true, signal) : undefined;
    if (held?.digest) upload.digests.set(1, held.digest);
    try {
      if (held?.digest && !this.byLink && goesWhole(upload)) return await this.sendWhole(upload, held, stops);
      const begun = known ? { ...known, ...(await this.api.parts(known.id, signal)) } : await this.begin(upload, held);
      this.onFile(begun);
      signal.throwIfAborted();
      return await new Transfer(this.api, this.courier, begun, data, upload.digests, held, (arrived, sent) => {
        this.progress(upload, arrived, sent);
      }).run(stops);
    } finally {
      held?.release();
    }
  }

  /**
   * All of a small file in one request. A pause and the cancelling wait for its answer, or nobody would know the id of
   * what was stored. The key makes what is sent again the same file: after a lost answer, and after a reload.
   */
  private async sendWhole(upload: Upload, held: Held, { pause, cancel }: Stops): Promise<FileInfo> {
    const { file: data, path } = upload.chosen;
    const digest = held.digest ?? "";
    const mark = await fingerprint(data, path);
    // What the key stands for was deleted, within a day: this is another file.
    const life = upload.lives === 0 ? "" : `:${Date.now()}`;
    const headers = {
      ...(data.type === "" ? {} : { "Content-Type": data.type }), // else the server goes by the name
      "Repr-Digest": `${PART_DIGEST}=:${base64(digest)}:`,
      "Idempotency-Key": `${mark ?? upload.key}:${digest}${life}`,
    };
    let before = 0;
    const onProgress = (bytes: number) => {
      // The request has more than the body to tell, and an empty one has nothing.
      this.progress(upload, Math.min(bytes, data.size), Math.max(0, bytes - before));
      before = bytes;
    };
    const unstopped = new AbortController().signal;
    const file = await this.api
      .putFile(
        { name: data.name, folder: upload.folder, headers },
        (url, all) => held.send(url, all, onProgress, unstopped),
        AbortSignal.any([pause, cancel]),
      )
      .catch((error: unknown) => {
        this.progress(upload, 0, 0); // of a request that was refused nothing is kept
        // The key stands for what was deleted since.
        if (error instanceof Problem && error.code === "file_not_found" && upload.lives === 0) return null;
        throw error;
      });
    if (file === null || !ARRIVED.includes(file.status)) {
      if (upload.lives > 0) throw new Gone();
      this.forget(upload);
      upload.digests.set(1, digest);
      return this.sendWhole(upload, held, { pause, cancel });
    }
    this.identify(upload, file.id);
    return file;
  }

  private progress(upload: Upload, arrived: number, sent: number): void {
    this.measured.add(sent, performance.now());
    upload.sent.value = arrived;
    this.touch();
  }

  private identify(upload: Upload, id: string): void {
    batch(() => {
      upload.id.value = id;
      this.moved.value = this.moved.peek() + 1;
      this.entry(id).value = upload;
      if (this.open.has(upload)) this.atServer.add(upload);
    });
  }

  /** What has become of an upload that this tab began; nothing where it has to begin anew. */
  private async known(upload: Upload, signal: AbortSignal): Promise<FileInfo | undefined> {
    const id = upload.id.peek();
    if (id === null) return undefined;
    const file = await this.stored(id, signal);
    if (file && (file.status === "uploading" || ARRIVED.includes(file.status))) return file;
    if (file && isWithdrawn(file)) throw new Withdrawn();
    this.forget(upload);
    return undefined;
  }

  private async stored(id: string, signal?: AbortSignal): Promise<FileInfo | null> {
    try {
      return await this.api.file(id, signal);
    } catch (error) {
      if (error instanceof Problem && error.code === "file_not_found") return null;
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
    this.identify(upload, begun.id);
    return begun;
  }
}

/** Two files of which nothing that the browser tells is different. */
function identity({ file, path }: Chosen): string {
  return JSON.stringify([path || file.name, file.name, file.size, file.lastModified]);
}

function place({ file, path }: Chosen): string {
  return path || file.name;
}

/** Characters that a gateway takes apart or decodes once more in a path, and what it takes for a folder. */
const ODD_IN_A_PATH = /[/\\?%#;]|^\.{1,2}$/;

function goesWhole({ name, size }: Upload): boolean {
  return size <= MAX_WHOLE_BYTES && name !== "" && !ODD_IN_A_PATH.test(name);
}

function isWithdrawn(file: FileInfo): boolean {
  return file.status === "aborted" && file.reason === "aborted";
}

/** Whether the cause may be that the upload is not there any more. S3 says so in words of its own, or not at all. */
function isDoubtful(error: unknown): boolean {
  if (error instanceof Problem) return error.code === "file_not_found" || error.code === "wrong_state";
  return error instanceof Unreachable || error instanceof Refused;
}

function base64(hex: string): string {
  return btoa(hex.replace(/../g, (byte) => String.fromCharCode(parseInt(byte, 16))));
}

/** An uploader for Uppy that speaks the HTTP contract: several parts at once, and every start resumes what is there. */

import { BasePlugin, type Body, EventManager, type Meta, type PluginOpts, type Uppy, type UppyFile } from "@uppy/core";
import { filterFilesToUpload, TaskQueue } from "@uppy/core/utils";
import { type Api, Problem } from "./api";
import type { LinkedFile, Upload } from "./contract";
import { canHash, Courier, type Held } from "./courier";
import { fingerprint } from "./fingerprint";
import { folderOf } from "./folder";
import { PART_DIGEST, Transfer } from "./transfer";

const FILES_AT_ONCE = 2;
const COMPLETE = ["assembling", "hashing", "ready"];
const MAX_SINGLE_PUT_BYTES = 8 * 1024 * 1024; // docs/api.md: up to this size a file is one PUT

type Chosen = UppyFile<Meta, Body>;

interface Options extends PluginOpts {
  api: Api;
  /** The server knows the file, and this tab sends it. */
  onBegun: (file: LinkedFile) => void;
  /** All parts have arrived. */
  onSent: (file: LinkedFile) => void;
  /** This tab does not send it any more: it failed here, and can be resumed. */
  onFailed: (chosen: Chosen, error: unknown, id: string | undefined) => void;
  /** It was given up for good. */
  onCancelled: (id: string) => void;
}

/** What this tab knows of a file that it sends. */
interface Begun {
  id: string | undefined;
  /** Of its parts, by number. */
  digests: Map<number, string>;
}

export class Uploads extends BasePlugin<Options, Meta, Body> {
  private readonly queue = new TaskQueue({ concurrency: FILES_AT_ONCE });
  private readonly courier = new Courier();
  private readonly unfinished = new Map<string, Begun>(); // by Uppy's id

  constructor(uppy: Uppy<Meta, Body>, options: Options) {
    super(uppy, options);
    this.id = "Uploads";
    this.type = "uploader";
  }

  override install(): void {
    this.uppy.setState({ capabilities: { ...this.uppy.getState().capabilities, resumableUploads: true } });
    this.uppy.addUploader(this.upload);
    this.uppy.on("file-removed", (chosen) => void this.giveUp(chosen));
  }

  private readonly upload = async (ids: string[]): Promise<void> => {
    const chosen = filterFilesToUpload(this.uppy.getFilesByIds(ids)) as Chosen[];
    this.uppy.emit("upload-start", chosen);
    await Promise.all(chosen.map((file) => this.send(file)));
  };

  /** One file, until it has been sent, has failed or is removed. While it is paused it holds no place in the queue. */
  private async send(chosen: Chosen): Promise<void> {
    const removed = new AbortController();
    let attempt = new AbortController();
    const events = new EventManager(this.uppy);
    events.onFileRemove(chosen.id, () => removed.abort());
    events.onFilePause(chosen.id, (paused) => {
      if (paused) attempt.abort();
    });
    events.onPauseAll(chosen.id, () => attempt.abort());
    try {
      while (!removed.signal.aborted) {
        await this.resumed(chosen.id, events, removed.signal);
        attempt = new AbortController();
        const signal = AbortSignal.any([attempt.signal, removed.signal]);
        try {
          const file = await this.queue.add(() => this.attempt(chosen, signal));
          this.sent(chosen, file);
          return;
        } catch (error) {
          if (!signal.aborted) {
            this.failed(chosen, error);
            return;
          }
        }
      }
    } finally {
      events.remove();
    }
  }

  private resumed(id: string, events: EventManager<Meta, Body>, removed: AbortSignal): Promise<void> {
    if (!this.uppy.getState().files[id]?.isPaused) return Promise.resolve();
    return new Promise((resolve) => {
      events.onFilePause(id, (paused) => {
        if (!paused) resolve();
      });
      events.onResumeAll(id, resolve);
      removed.addEventListener("abort", () => resolve());
    });
  }

  private async attempt(chosen: Chosen, signal: AbortSignal): Promise<LinkedFile> {
    signal.throwIfAborted();
    const { api } = this.opts;
    const data = chosen.data as File;
    const begun = this.unfinished.get(chosen.id) ?? { id: undefined, digests: new Map<number, string>() };
    this.unfinished.set(chosen.id, begun);
    const known = begun.id === undefined ? undefined : await this.known(begun.id, signal);
    // Completing is stopped by a pause, or its answer was lost: what is complete would be sent once more.
    if (known && COMPLETE.includes(known.status)) return known;
    const uploadStarted = Date.now();
    const onProgress = (bytesUploaded: number) => {
      const progress = { uploadStarted, bytesUploaded, bytesTotal: data.size };
      if (!signal.aborted) this.uppy.emit("upload-progress", this.uppy.getFile(chosen.id), progress);
    };
    // One PUT is promised with the digest of its bytes, so they are read before.
    const small = data.size <= MAX_SINGLE_PUT_BYTES && !known && canHash(data.size);
    const held = small ? await this.courier.hold(data, true, signal) : undefined;
    if (held?.digest) begun.digests.set(1, held.digest);
    try {
      const upload = known
        ? { ...known, ...(await api.parts(known.id, signal)) }
        : await this.begin(chosen, data, begun, held);
      signal.throwIfAborted();
      this.opts.onBegun(upload);
      return await new Transfer(api, this.courier, upload, data, begun.digests, held, onProgress).run(signal);
    } finally {
      held?.release();
    }
  }

  /** What has become of an upload that this tab began; nothing where it has to begin anew. */
  private async known(id: string, signal: AbortSignal): Promise<LinkedFile | undefined> {
    try {
      const file = await this.opts.api.file(id, signal);
      return file.status === "uploading" || COMPLETE.includes(file.status) ? file : undefined;
    } catch (error) {
      if (error instanceof Problem && error.code === "file_not_found") return undefined;
      throw error;
    }
  }

  /** Not stopped by a signal: what the server has begun has to be known here, or nobody could cancel it. */
  private async begin(chosen: Chosen, data: File, begun: Begun, held: Held | undefined): Promise<Upload> {
    // Whoever goes on with an upload has to have digests. Without them there is nothing to go on by.
    const mark = canHash(data.size) ? await fingerprint(data, chosen.meta.relativePath) : null;
    const locked = held?.digest ? { digests: { [PART_DIGEST]: held.digest } } : { part_digest: PART_DIGEST };
    const folder = folderOf(chosen.meta.relativePath ?? data.webkitRelativePath);
    const upload = await this.opts.api.begin({
      filename: chosen.name,
      ...(folder === null ? {} : { folder }),
      size: data.size,
      content_type: data.type, // empty where the browser does not know it: then the server goes by the name
      ...(mark === null ? {} : { fingerprint: mark, ...locked }),
    });
    begun.id = upload.id;
    if (!(chosen.id in this.uppy.getState().files)) await this.giveUp(chosen, begun);
    return upload;
  }

  private sent(chosen: Chosen, file: LinkedFile): void {
    this.unfinished.delete(chosen.id);
    this.uppy.emit("upload-success", this.uppy.getFile(chosen.id), { status: 202, body: {} });
    this.opts.onSent(file);
  }

  private failed(chosen: Chosen, error: unknown): void {
    const told = error instanceof Error ? error : new Error(String(error));
    this.uppy.emit("upload-error", this.uppy.getFile(chosen.id), told);
    this.opts.onFailed(chosen, error, this.unfinished.get(chosen.id)?.id);
  }

  /** Who takes a file away before it has been sent does not want it sent. */
  private async giveUp(chosen: Chosen, begun = this.unfinished.get(chosen.id)): Promise<void> {
    const id = begun?.id;
    this.unfinished.delete(chosen.id);
    if (id === undefined) return;
    try {
      await this.opts.api.remove(id);
      this.opts.onCancelled(id);
    } catch (error) {
      this.opts.onFailed(chosen, error, id);
    }
  }
}

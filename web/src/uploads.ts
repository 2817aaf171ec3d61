/** An uploader for Uppy that speaks the HTTP contract: several parts at once, and every start resumes what is there. */

import { BasePlugin, type Body, EventManager, type Meta, type PluginOpts, type Uppy, type UppyFile } from "@uppy/core";
import { filterFilesToUpload, TaskQueue } from "@uppy/core/utils";
import type { Api } from "./api";
import type { LinkedFile } from "./contract";
import { transfer } from "./transfer";

const FILES_AT_ONCE = 2;
const COMPLETE = ["assembling", "hashing", "ready"];
const FINGERPRINT = "page:";

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

/** The same for the same file, on the same machine and any day; for no other file. */
export async function fingerprint(file: File, path = file.webkitRelativePath): Promise<string> {
  const identity = new TextEncoder().encode(JSON.stringify([path || file.name, file.size, file.lastModified]));
  const digest = await crypto.subtle.digest("SHA-256", identity);
  return FINGERPRINT + Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

export function begunByAPage(file: LinkedFile): boolean {
  return file.fingerprint?.startsWith(FINGERPRINT) ?? false;
}

export class Uploads extends BasePlugin<Options, Meta, Body> {
  private readonly queue = new TaskQueue({ concurrency: FILES_AT_ONCE });
  private readonly unfinished = new Map<string, string>(); // Uppy's id -> ours

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
    const begun = this.unfinished.get(chosen.id);
    if (begun !== undefined) {
      // Completing is stopped by a pause, or its answer was lost: what is complete would be sent once more.
      const file = await api.file(begun, signal);
      if (COMPLETE.includes(file.status)) return file;
    }
    // Not stopped by the signal: what the server has begun has to be known here, or nobody could cancel it.
    const upload = await api.begin({
      filename: chosen.name,
      size: data.size,
      content_type: chosen.type || "application/octet-stream",
      fingerprint: await fingerprint(data, chosen.meta.relativePath ?? undefined),
    });
    this.unfinished.set(chosen.id, upload.id);
    if (!(chosen.id in this.uppy.getState().files)) await this.giveUp(chosen);
    signal.throwIfAborted();
    this.opts.onBegun(upload);
    const uploadStarted = Date.now();
    return transfer(
      api,
      upload,
      data,
      (bytesUploaded) => {
        const progress = { uploadStarted, bytesUploaded, bytesTotal: data.size };
        if (!signal.aborted) this.uppy.emit("upload-progress", this.uppy.getFile(chosen.id), progress);
      },
      signal,
    );
  }

  private sent(chosen: Chosen, file: LinkedFile): void {
    this.unfinished.delete(chosen.id);
    this.uppy.emit("upload-success", this.uppy.getFile(chosen.id), { status: 202, body: {} });
    this.opts.onSent(file);
  }

  private failed(chosen: Chosen, error: unknown): void {
    const told = error instanceof Error ? error : new Error(String(error));
    this.uppy.emit("upload-error", this.uppy.getFile(chosen.id), told);
    this.opts.onFailed(chosen, error, this.unfinished.get(chosen.id));
  }

  /** Who takes a file away before it has been sent does not want it sent. */
  private async giveUp(chosen: Chosen): Promise<void> {
    const id = this.unfinished.get(chosen.id);
    if (id === undefined) return;
    this.unfinished.delete(chosen.id);
    try {
      await this.opts.api.remove(id);
      this.opts.onCancelled(id);
    } catch (error) {
      this.opts.onFailed(chosen, error, id);
    }
  }
}

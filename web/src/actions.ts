/** What is done with files that the server has. */

import { signal } from "@preact/signals";
import { type Api, ARRIVED, Problem, type StoredFile } from "./api";
import type { Archive } from "./contract";
import type { Entry } from "./entries";
import type { Files } from "./files";
import { t } from "./i18n";
import type { Listing } from "./listing";
import { pause } from "./patience";
import { save, STREAMED_BYTES } from "./saving";
import { hasSum, sums } from "./sums";
import type { Upload, Uploads } from "./uploads";
import { confirmed } from "./views/dialog";
import { cancelled } from "./views/leaving";
import { say } from "./views/status";

const DELETIONS_AT_ONCE = 4;
const ARCHIVE_LOOK_MS = 1_000;

/** What is being done with many files. */
export interface Work {
  kind: "archive" | "delete";
  done: number;
  whole: number;
}

export class Actions {
  readonly work = signal<Work | null>(null);
  private stopped = new AbortController();

  constructor(
    readonly api: Api,
    readonly files: Files,
    readonly uploads: Uploads,
    readonly listing: Listing,
  ) {}

  async download({ key, id }: Entry): Promise<void> {
    if (id === null) return;
    await this.attempt(key, async () => {
      // A link of its own for each download, because links expire.
      const { links, size, status } = await this.api.file(id);
      const large = size === null || size > STREAMED_BYTES;
      const link = large || status !== "ready" ? links.direct : links.content;
      if (link) await this.take(link, size);
    });
  }

  /** Asks, and deletes what has arrived, and cancels what has not. Tells whether it was meant. */
  async remove(entries: readonly Entry[]): Promise<boolean> {
    const unfinished = entries.filter(({ state }) => !ARRIVED.includes(state) && state !== "failed").length;
    const [only] = entries;
    if (!only) return false;
    const values = { count: entries.length, name: only.name, unfinished };
    const cancels = unfinished === entries.length;
    const one = cancels ? t("remove.cancel_one", values) : t("remove.one", values);
    const many = cancels ? t("remove.cancel_many", values) : t("remove.many", values);
    const agreed = await confirmed(
      entries.length === 1 ? one : many,
      cancels
        ? t("remove.cancel_detail")
        : unfinished > 0
          ? t("remove.mixed_detail", { count: unfinished })
          : t("remove.detail", values),
      cancels ? t("remove.cancel", values) : t("remove.delete", values),
      t("dialog.keep", values),
    );
    if (agreed) await this.removeAll(entries);
    return agreed;
  }

  private async removeAll(entries: readonly Entry[]): Promise<void> {
    const left = [...entries];
    const whole = entries.length;
    let failed = 0;
    const one = async () => {
      for (let entry = left.shift(); entry; entry = left.shift()) {
        if (!(await this.removeOne(entry))) failed++;
        this.work.value = { kind: "delete", done: whole - left.length, whole };
      }
    };
    await Promise.all(Array.from({ length: DELETIONS_AT_ONCE }, one));
    this.work.value = null;
    say(t("remove.done", { count: whole - failed }));
  }

  private async removeOne({ key, id, upload: name }: Entry): Promise<boolean> {
    const upload = name === null ? undefined : this.listing.byUpload.value.get(name);
    if (upload && upload.stage.value !== "sent") {
      await this.uploads.cancel(upload);
      return upload.stage.peek() === "cancelled";
    }
    if (id === null) return true;
    return this.attempt(key, async () => {
      try {
        await this.api.remove(id);
      } catch (error) {
        if (!(error instanceof Problem && error.code === "file_not_found")) throw error; // somebody else was faster
      }
      this.files.remove(id);
    });
  }

  /** Takes an upload back. What has arrived of it is asked about. */
  async cancel(upload: Upload): Promise<void> {
    if (!(await cancelled(this.uploads, [upload]))) return;
    if (upload.stage.peek() === "cancelled") say(t("remove.cancelled", { name: upload.name }));
  }

  /** Goes on with an upload of an earlier visit, when it is the file that was chosen then. */
  async goOn({ key, file: unfinished }: Entry, chosen: File): Promise<void> {
    if (!unfinished) return;
    if (await this.uploads.goOn(unfinished, chosen)) this.listing.trouble(key, null);
    else this.listing.trouble(key, new Error(t("row.another_file", { name: chosen.name })));
  }

  /** All of them as one ZIP, which is put together first where it is large. Throws why it cannot be. */
  async archive(entries: readonly Entry[]): Promise<void> {
    const files = entries.flatMap(({ id, state }) => (id !== null && state === "ready" ? [id] : []));
    this.stopped = new AbortController();
    const { signal } = this.stopped;
    this.work.value = { kind: "archive", done: 0, whole: 1 };
    try {
      let archive = await this.api.createArchive({ files });
      while (archive.status === "building") {
        this.work.value = { kind: "archive", done: archive.built_bytes, whole: archive.size };
        await pause(ARCHIVE_LOOK_MS, signal);
        archive = await this.api.archive(archive.id);
      }
      signal.throwIfAborted();
      if (archive.status === "failed" || archive.links.content === null) throw new Error(this.archiveFailed(archive));
      await this.take(archive.links.content, archive.size);
      say(t("bulk.zip_begins", { count: archive.count }));
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      this.work.value = null;
    }
  }

  stop(): void {
    this.stopped.abort();
  }

  /** What `sha256sum -c` reads, of those that have such a digest. */
  sums(entries: readonly Entry[]): { text: string; count: number; without: number } {
    const files = entries.flatMap(({ file }) => (file ? [file] : []));
    const count = files.filter(hasSum).length;
    return { text: sums(files), count, without: entries.length - count };
  }

  private archiveFailed({ file, reason }: Archive): string {
    const name = this.files.get(file ?? "")?.value.filename;
    return name === undefined ? t("bulk.zip_failed", { reason: reason ?? "?" }) : t("bulk.zip_failed_at", { name });
  }

  /** A link that answers with an error would take the page's place, and end what it is sending: so it is asked before. */
  private async take(link: string, size: number | null): Promise<void> {
    await this.api.readable(link, size);
    save(link);
  }

  /** What goes wrong with one file stands at that file. */
  private async attempt(key: string, work: () => Promise<void>): Promise<boolean> {
    this.listing.trouble(key, null);
    try {
      await work();
      return true;
    } catch (error) {
      this.listing.trouble(key, error);
      return false;
    }
  }
}

/**
 * Whether its bytes can be had: those of a file that is hashed once more are what their sender had. Where files are
 * scanned for malware it has no link before that.
 */
export function canDownload(file: StoredFile): boolean {
  const early = file.status === "hashing" && file.verified && (!file.links || Boolean(file.links.direct));
  return file.status === "ready" || early;
}

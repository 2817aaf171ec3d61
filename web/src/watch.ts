/** The progress of files as the stream host sends it. */

import { type Api, passes, type StoredFile } from "./api";
import type { FileInfo } from "./contract";
import { pause } from "./patience";

// Each is a connection, and a running function. Browsers open six connections to one host over HTTP/1.1, and a download
// wants one as well.
const STREAMS = 4;
const AGAIN_MS = 2_000;
const LAST = ["ready", "failed", "aborted"] as const;

export type Progress = Pick<FileInfo, "status" | "received_bytes" | "hashed_bytes" | "size" | "verified">;
export type Watched = { file: FileInfo; onProgress: (progress: Progress) => void; onEnd: (file: StoredFile) => void };

/** Follows files to their end, a few at a time; the others wait for their turn. */
export class Watcher {
  private readonly waiting = new Map<string, Watched>();
  private readonly following = new Map<string, EventSource>();

  constructor(
    private readonly api: Api,
    private readonly onRefused: (id: string, error: unknown) => void,
  ) {}

  watch(watched: Watched): void {
    const { id } = watched.file;
    if (this.following.has(id)) return;
    this.waiting.set(id, watched);
    this.next();
  }

  forget(id: string): void {
    this.waiting.delete(id);
    this.following.get(id)?.close();
    this.following.delete(id);
    this.next();
  }

  private next(): void {
    for (const [id, watched] of this.waiting) {
      if (this.following.size >= STREAMS) return;
      this.waiting.delete(id);
      this.following.set(id, this.follow(watched));
    }
  }

  private follow(watched: Watched): EventSource {
    const { id, links } = watched.file;
    const source = new EventSource(links.events);
    source.addEventListener("progress", ({ data }: MessageEvent<string>) =>
      watched.onProgress(JSON.parse(data) as Progress),
    );
    for (const name of LAST) {
      source.addEventListener(name, ({ data }: MessageEvent<string>) => {
        this.forget(id);
        watched.onEnd(JSON.parse(data) as StoredFile);
      });
    }
    source.addEventListener("error", () => {
      // Where only the connection broke, the browser comes back by itself. Refused for good, the record has the truth.
      if (source.readyState === EventSource.CLOSED) void this.askAgain(watched, source);
    });
    return source;
  }

  private async askAgain(watched: Watched, source: EventSource): Promise<void> {
    const { id } = watched.file;
    await pause(AGAIN_MS);
    try {
      const file = await this.api.file(id);
      if (this.following.get(id) !== source) return;
      this.forget(id);
      if (LAST.some((status) => status === file.status)) watched.onEnd(file);
      else this.watch({ ...watched, file });
    } catch (error) {
      if (this.following.get(id) !== source) return;
      if (passes(error)) return this.askAgain(watched, source);
      this.forget(id);
      this.onRefused(id, error);
    }
  }
}

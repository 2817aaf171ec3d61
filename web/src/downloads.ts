/** What is being downloaded of the owner's files, by whomever, as the feed tells it. */

import { type ReadonlySignal, type Signal, signal } from "@preact/signals";

const QUIET_MS = 60_000; // one that is alive is told of each second: the function that sent this one has died
const OVER_MS = 10_000; // for which the end of one is shown

export interface Download {
  /** Of the file, or of the archive. */
  id: string;
  /** Of this download: several of one file may run at once. */
  download: string;
  share: string | null;
  sent_bytes: number;
  size: number;
  ended: "complete" | "broken" | "redirected" | null;
}

export class Downloads {
  private readonly told = new Map<string, Download>(); // by download
  private readonly shown = new Map<string, Signal<Download | null>>(); // by file
  private readonly timers = new Map<string, ReturnType<typeof setTimeout>>(); // by file

  /** The newest download of a file, until a moment after its end. */
  of(id: string): ReadonlySignal<Download | null> {
    return this.get(id);
  }

  /** What the feed tells; it may tell again what an earlier stream has told. */
  put(news: Download): void {
    const before = this.told.get(news.download);
    if (before && (before.ended !== null || (news.ended === null && news.sent_bytes <= before.sent_bytes))) return;
    this.told.set(news.download, news);
    this.get(news.id).value = news;
    clearTimeout(this.timers.get(news.id));
    const until = news.ended === null ? QUIET_MS : OVER_MS;
    this.timers.set(
      news.id,
      setTimeout(() => (this.get(news.id).value = null), until),
    );
  }

  private get(id: string): Signal<Download | null> {
    const known = this.shown.get(id);
    if (known) return known;
    const made = signal<Download | null>(null);
    this.shown.set(id, made);
    return made;
  }
}

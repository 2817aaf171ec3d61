/** All files of an owner that this page knows, by id. Each is a signal, so that a change redraws its row alone. */

import { batch, type ReadonlySignal, type Signal, signal } from "@preact/signals";
import type { StoredFile } from "./api";

export class Files {
  private readonly byId = new Map<string, Signal<StoredFile>>();
  private readonly gone = new Set<string>();
  private readonly membership = signal(0);

  /** Counts the changes of which files there are, or of what they are sorted by. Reading it follows them. */
  get changes(): ReadonlySignal<number> {
    return this.membership;
  }

  get size(): number {
    return this.byId.size;
  }

  all(): ReadonlySignal<StoredFile>[] {
    return [...this.byId.values()];
  }

  get(id: string): ReadonlySignal<StoredFile> | undefined {
    return this.byId.get(id);
  }

  /** What is known of these files now. An older state than the one that is known changes nothing. */
  put(...files: StoredFile[]): void {
    batch(() => {
      let changed = false;
      for (const file of files) changed = this.one(file) || changed;
      if (changed) this.membership.value++;
    });
  }

  /** It is not there any more, and does not come back by an answer that was under way. */
  remove(id: string): void {
    this.gone.add(id);
    if (this.byId.delete(id)) this.membership.value++;
  }

  /** Nobody writes down that the time of an unfinished upload is over: from then on it reads as aborted. */
  expire(now: number): void {
    const over = this.all()
      .map((file) => file.peek())
      .filter((file) => file.status === "uploading" && file.expires_at !== null && Date.parse(file.expires_at) <= now);
    this.put(...over.map((file) => ({ ...file, status: "aborted" as const, reason: "expired" as const })));
  }

  /** Nothing is known any more. */
  clear(): void {
    this.byId.clear();
    this.gone.clear();
    this.membership.value++;
  }

  private one(file: StoredFile): boolean {
    const known = this.byId.get(file.id);
    if (this.gone.has(file.id)) return false;
    if (!isOfInterest(file)) {
      this.gone.add(file.id);
      return this.byId.delete(file.id);
    }
    if (!known) {
      this.byId.set(file.id, signal(file));
      return true;
    }
    const before = known.peek();
    if (file.revision < before.revision) return false;
    known.value = { ...before, ...file }; // an event has no links: those that were known stay
    return SORTED_BY.some((name) => before[name] !== file[name]);
  }
}

const SORTED_BY = ["filename", "folder", "size", "status", "verified"] as const;

/** Who cancelled an upload has seen enough of it; what ended otherwise says why. */
function isOfInterest(file: StoredFile): boolean {
  return file.status !== "aborted" || file.reason !== "aborted";
}

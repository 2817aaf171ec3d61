/** All files of the owner, into `Files`: the newest at once, and the others line by line from the stream host. */

import { type ReadonlySignal, signal } from "@preact/signals";
import { answer, type Api, passes, type StoredFile } from "./api";
import type { FileList } from "./contract";
import type { Files } from "./files";
import { pause, Unreachable } from "./patience";

const MOST_FILES = 50_000; // with more a phone's memory ends, and the server searches faster than the page
const LEAST_BATCH = 500;
const AGAIN_MS = 2_000;

/** `too many`: those beyond the newest 50,000 are known to the server alone, which has to be asked for them. */
export type Loaded = "some" | "all" | "too many";

export class Loading {
  private readonly state = signal<Loaded>("some");
  private stopped = new AbortController();

  /** `most`: how many files this page holds. */
  constructor(
    private readonly api: Api,
    private readonly files: Files,
    private readonly most = MOST_FILES,
  ) {}

  get loaded(): ReadonlySignal<Loaded> {
    return this.state;
  }

  /** `first` is the beginning of the list. The feed has to be followed from there on, for what changes meanwhile. */
  async run(first: FileList): Promise<void> {
    this.stop();
    this.stopped = new AbortController();
    const { signal } = this.stopped;
    this.state.value = "some";
    this.files.put(...first.items);
    let link = first.links.jsonl;
    let after = first.next === null ? undefined : first.items.at(-1)?.id;
    let count = first.items.length;
    while (after !== undefined && count < this.most) {
      try {
        for await (const batch of batches(behind(link, after), signal, () => Math.max(LEAST_BATCH, count / 4))) {
          this.files.put(...batch);
          count += batch.length;
          after = batch.at(-1)?.id ?? after;
          if (count >= this.most) break;
        }
        if (count < this.most) after = undefined;
      } catch (error) {
        if (signal.aborted) return;
        if (!(error instanceof Broken) && !passes(error)) link = await this.fresh(link); // its time is over
        await pause(AGAIN_MS, signal).catch(() => undefined);
      }
    }
    if (!signal.aborted) this.state.value = after === undefined ? "all" : "too many";
  }

  /** Another link to the same, or this one while there is none. */
  private async fresh(link: string): Promise<string> {
    return this.api.list(1).then(
      ({ links }) => links.jsonl,
      () => link,
    );
  }

  stop(): void {
    this.stopped.abort();
  }
}

/** The export did not come to its end. What came is whole, and the rest is behind it. */
class Broken extends Error {}

export function behind(link: string, id: string): string {
  const url = new URL(link);
  url.searchParams.set("after", id);
  return url.href;
}

/** Files as they arrive, at least `least()` at a time: whoever shows them sorts all of them for each batch. */
async function* batches(url: string, signal: AbortSignal, least: () => number): AsyncGenerator<StoredFile[]> {
  const { body } = await answer(url, { cache: "no-store", signal });
  if (!body) throw new Unreachable("The stream host");
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const lines = new Lines();
  let batch: StoredFile[] = [];
  try {
    for (;;) {
      const piece = await reader.read().catch(() => null); // null: the connection was lost
      signal.throwIfAborted();
      for (const line of lines.add(piece?.value ?? "")) batch.push(JSON.parse(line) as StoredFile);
      const over = !piece || piece.done;
      if (over || batch.length >= least()) {
        yield batch;
        batch = [];
      }
      if (over && (!piece || lines.cut)) throw new Broken();
      if (over) return;
    }
  } finally {
    await reader.cancel().catch(() => undefined); // it is at its end, or nobody wants the rest
  }
}

/** Text that comes in pieces, as lines. */
export class Lines {
  private rest = "";

  /** The lines that this piece ends. */
  *add(piece: string): Generator<string> {
    const lines = (this.rest + piece).split("\n");
    this.rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") yield line;
  }

  /** Whether the text ended within a line. */
  get cut(): boolean {
    return this.rest !== "";
  }
}

/**
 * What happens to the owner's files, live (docs/api.md, The feed): one stream, from the moment of the list on, for as long
 * as somebody sees the page.
 *
 * The server ends each stream after some minutes, and the browser comes back by itself: that is no loss of the connection.
 * It is `gone` when the browser does not get back in time, when the device is offline, or when nothing was heard for
 * longer than a stream may be quiet.
 */

import { type ReadonlySignal, signal } from "@preact/signals";
import { answer, type Api, MOST_LISTED, passes, Problem, type StoredFile } from "./api";
import type { FileList } from "./contract";
import type { Download, Downloads } from "./downloads";
import type { Files } from "./files";
import { pause } from "./patience";

export type Connection = "connecting" | "live" | "gone" | "hidden";

/** What befalls the stream. `broken`: it ended, and the browser opens it again. `refused`: the browser does not. */
type Incident = "hide" | "open" | "opened" | "broken" | "refused" | "late" | "offline";

const LATE_MS = 10_000; // to come back in, with a cold start of the function, before it is said that the connection is gone
const SILENT_MS = 90_000; // a stream is quiet for a minute at most; then the server ends it
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000; // somebody looks at the page, and wants to see that it is back

/** The state after an incident. Until a lost connection is back, it stays lost. */
export function after(state: Connection, incident: Incident): Connection {
  switch (incident) {
    case "hide":
      return "hidden";
    case "opened":
      return "live";
    case "late":
    case "offline":
      return state === "hidden" ? "hidden" : "gone";
    case "open":
    case "broken":
    case "refused":
      return state === "gone" ? "gone" : "connecting";
  }
}

function cursorOf(link: string): string {
  return new URL(link).searchParams.get("cursor") ?? "";
}

/** The link, from where an earlier stream has come to. */
export function resumed(link: string, cursor: string): string {
  if (cursor === "") return link;
  const url = new URL(link);
  url.searchParams.set("cursor", cursor);
  return url.href;
}

export class Feed {
  private readonly connection = signal<Connection>("connecting");
  private readonly left = new AbortController();
  private source: EventSource | null = null;
  private link = "";
  private cursor = ""; // of the last event, or else of the first list: a later link begins at a later moment
  private refusals = 0; // since a stream was opened
  private late: ReturnType<typeof setTimeout> | undefined;
  private silent: ReturnType<typeof setTimeout> | undefined;

  /** `onForgotten`: too much has happened since the feed was followed last; this list is a new beginning. */
  constructor(
    private readonly api: Api,
    private readonly files: Files,
    private readonly downloads: Downloads,
    private readonly onForgotten: (list: FileList) => void,
  ) {}

  get state(): ReadonlySignal<Connection> {
    return this.connection;
  }

  /** Follows what happens from `link` on, which is `links.events` of a list. */
  start(link: string): void {
    this.link = link;
    this.cursor = cursorOf(link);
    const { signal } = this.left;
    document.addEventListener("visibilitychange", () => this.open(), { signal });
    addEventListener("online", () => this.open(), { signal });
    addEventListener(
      "offline",
      () => {
        this.close();
        this.expectNothing();
        this.become("offline");
      },
      { signal },
    );
    this.open();
  }

  stop(): void {
    this.left.abort();
    this.close();
    this.expectNothing();
  }

  private become(incident: Incident): void {
    this.connection.value = after(this.connection.peek(), incident);
  }

  private close(): void {
    clearTimeout(this.silent);
    this.source?.close();
    this.source = null;
  }

  private open(): void {
    this.close();
    if (document.visibilityState === "hidden") {
      this.expectNothing();
      this.become("hide");
      return;
    }
    const source = new EventSource(resumed(this.link, this.cursor));
    this.source = source;
    this.become("open");
    this.expectBack();
    source.onopen = () => {
      this.expectNothing();
      this.refusals = 0;
      this.become("opened");
      this.heard();
    };
    source.onerror = () => {
      if (source.readyState === EventSource.CLOSED) {
        this.become("refused");
        void this.renew(source);
      } else {
        if (this.late !== undefined && this.connection.peek() === "connecting")
          this.become("late"); // a second time
        else this.become("broken");
        this.expectBack();
      }
    };
    this.on(source, "file", (data) => {
      const file = data as StoredFile;
      const known = this.files.get(file.id);
      if (!known || known.peek().revision < file.revision) this.files.put(file);
    });
    this.on(source, "deleted", (data) => this.files.remove((data as { id: string }).id));
    this.on(source, "download", (data) => this.downloads.put(data as Download));
  }

  private on(source: EventSource, kind: string, handle: (data: unknown) => void): void {
    source.addEventListener(kind, ({ data, lastEventId }: MessageEvent<string>) => {
      this.cursor = lastEventId;
      this.heard();
      handle(JSON.parse(data));
    });
  }

  private heard(): void {
    clearTimeout(this.silent);
    this.silent = setTimeout(() => this.open(), SILENT_MS);
  }

  private expectBack(): void {
    this.late ??= setTimeout(() => this.become("late"), LATE_MS);
  }

  private expectNothing(): void {
    clearTimeout(this.late);
    this.late = undefined;
  }

  /**
   * The browser is not told why a stream was refused, so it is asked for once more. A link lives for some hours, and ends
   * with the access token: the list has another one, and what was seen stays seen. Only where the cursor is too old is all
   * of it read anew; a host that does not answer is waited for.
   */
  private async renew(source: EventSource): Promise<void> {
    clearTimeout(this.silent);
    this.expectBack();
    const first = FIRST_PAUSE_MS * 2 ** this.refusals++;
    for (let wait = first; this.source === source; wait = 2 * wait) {
      try {
        await pause(Math.min(wait, LONGEST_PAUSE_MS), this.left.signal);
        const refusal = await this.refusal();
        if (this.source !== source) return;
        if (refusal !== null) await this.askForLink(refusal.code === "invalid_cursor");
        break;
      } catch (error) {
        if (this.left.signal.aborted) return;
        if (!(error instanceof Away)) this.become("late");
      }
    }
    if (this.source === source) this.open();
  }

  /** Why a stream is refused; null where it is not. Rejects with Away while nobody can say. */
  private async refusal(): Promise<Problem | null> {
    const enough = new AbortController();
    const signal = AbortSignal.any([this.left.signal, enough.signal, AbortSignal.timeout(LATE_MS)]);
    try {
      await answer(resumed(this.link, this.cursor), { cache: "no-store", signal });
      return null;
    } catch (error) {
      if (error instanceof Problem && !passes(error)) return error;
      throw new Away();
    } finally {
      enough.abort();
    }
  }

  private async askForLink(anew: boolean): Promise<void> {
    const list = await this.api.list(anew ? MOST_LISTED : 1);
    this.link = list.links.events;
    if (!anew) return;
    this.cursor = cursorOf(list.links.events);
    this.onForgotten(list);
  }
}

/** The stream host does not answer, or is busy. */
class Away extends Error {}

/** The list of files, newest first. */

import { type Api, Problem } from "./api";
import type { LinkedFile, StoredFile } from "./contract";
import { button, confirmed, el, say } from "./dom";
import { type Actions, Row } from "./row";
import { Watcher } from "./watch";
import { explain, state } from "./words";

const ARRIVED = ["assembling", "hashing"];
// A streamed answer of Lambda is slowed down to 2 MB/s after 6 MB; S3 itself is not.
// https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
export const STREAMED_BYTES = 6_000_000;

export class Files {
  readonly element: HTMLElement;
  private readonly heading: HTMLElement;
  private readonly list = el("ul", { class: "files" });
  private readonly empty = el("p", {}, "No files yet.");
  private readonly problem = el("p", { role: "alert", class: "problem" });
  private readonly more = button("Show more", () => void this.load(this.cursor), { hidden: true });
  private readonly rows = new Map<string, Row>();
  private readonly sending = new Set<string>(); // by this tab
  private readonly watcher: Watcher;
  private cursor: string | undefined;

  /** `owned`: all files of an owner; else only those that this page sends. */
  constructor(
    private readonly api: Api,
    private readonly owned: boolean,
    private readonly resume: Actions["resume"],
  ) {
    this.watcher = new Watcher(api, (id, error) => {
      if (error instanceof Problem && error.code === "file_not_found") this.drop(id);
      else this.problem.textContent = explain(error);
    });
    this.heading = el("h2", { id: "files", tabindex: "-1" }, owned ? "Files" : "Sent from this page");
    this.empty.hidden = owned; // until it is known
    const refresh = button("Refresh", () => void this.load(), { class: "quiet" });
    this.element = el(
      "section",
      { "aria-labelledby": "files" },
      el("div", { class: "title" }, this.heading, ...(owned ? [refresh] : [])),
      this.problem,
      this.empty,
      this.list,
      this.more,
    );
  }

  /** A page of the list; the first page replaces what is shown. */
  async load(cursor?: string): Promise<void> {
    this.problem.textContent = "";
    this.list.setAttribute("aria-busy", "true");
    try {
      let page = await this.api.list(cursor);
      // What was cancelled is not shown, and may fill pages of its own.
      while (page.next !== null && !page.items.some(isOfInterest)) page = await this.api.list(page.next);
      if (cursor === undefined) for (const id of this.rows.keys()) this.drop(id);
      const rows = page.items.filter(isOfInterest).map((file) => this.put(file));
      this.empty.hidden = this.rows.size > 0;
      this.cursor = page.next ?? undefined;
      this.more.hidden = this.cursor === undefined;
      if (cursor !== undefined) rows[0]?.focus();
      say(`Files shown: ${this.rows.size}`);
    } catch (error) {
      this.problem.textContent = explain(error);
    } finally {
      this.list.removeAttribute("aria-busy");
    }
  }

  /** A file that this tab sends from now on. */
  begun(file: LinkedFile): void {
    this.sending.add(file.id);
    this.show(file);
  }

  /** A file that this tab has sent. */
  sent(file: LinkedFile): void {
    this.sending.delete(file.id);
    this.show(file);
    if (!ARRIVED.includes(file.status)) say(`${file.filename}: ${state(file)}`); // a small file is often ready at once
  }

  /** A file that this tab does not send any more. */
  left(id: string): void {
    this.sending.delete(id);
    this.rows.get(id)?.left();
  }

  /** It is not there any more. */
  drop(id: string): void {
    this.watcher.forget(id);
    this.rows.get(id)?.element.remove();
    this.rows.delete(id);
    this.empty.hidden = this.rows.size > 0;
  }

  private show(file: LinkedFile): void {
    const known = this.rows.get(file.id);
    if (known) {
      known.show(file, this.sending.has(file.id));
      this.follow(file);
    } else {
      this.list.prepend(this.put(file).element);
    }
  }

  private put(file: LinkedFile): Row {
    this.drop(file.id);
    const row = new Row(file, this.owned, {
      download: (one) => void this.download(one),
      remove: (one) => void this.remove(one),
      resume: this.resume,
    });
    row.show(file, this.sending.has(file.id));
    this.rows.set(file.id, row);
    this.list.append(row.element);
    this.empty.hidden = true;
    this.follow(file);
    return row;
  }

  private follow(file: LinkedFile): void {
    if (!ARRIVED.includes(file.status)) return;
    this.watcher.watch({
      file,
      onProgress: (progress) => this.rows.get(file.id)?.progress(progress),
      onEnd: (ended) => {
        this.rows.get(file.id)?.show(ended);
        say(`${ended.filename}: ${state(ended)}`);
      },
    });
  }

  private async download(file: StoredFile): Promise<void> {
    await this.attempt(async () => {
      // A link of its own for each download, because links expire.
      const { links, size, status } = await this.api.file(file.id);
      const large = size === null || size > STREAMED_BYTES;
      const link = large || status !== "ready" ? links.direct : links.content;
      if (!link) return;
      // A link that answers with an error takes the page's place, and ends what it is sending.
      await this.api.readable(link, size);
      el("a", { href: link, rel: "noreferrer" }).click();
    });
  }

  private async remove(file: StoredFile): Promise<void> {
    const unfinished = file.status === "uploading";
    const question = unfinished ? `Cancel the upload of “${file.filename}”?` : `Delete “${file.filename}” for good?`;
    if (!(await confirmed(question, unfinished ? "Cancel upload" : "Delete"))) return;
    await this.attempt(async () => {
      await this.api.remove(file.id);
      const next = this.rows.get(file.id)?.element.nextElementSibling?.querySelector("h3") ?? this.heading;
      this.drop(file.id);
      next.focus();
      say(`${file.filename}: ${unfinished ? "cancelled" : "deleted"}`);
    });
  }

  private async attempt(work: () => Promise<void>): Promise<void> {
    this.problem.textContent = "";
    try {
      await work();
    } catch (error) {
      this.problem.textContent = explain(error);
    }
  }
}

/** Who cancelled an upload has seen enough of it; what ended otherwise says why. */
function isOfInterest(file: StoredFile): boolean {
  return file.status !== "aborted" || file.reason === "expired";
}

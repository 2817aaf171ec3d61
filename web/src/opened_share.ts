/** A share as its recipient has it open: its files, page by page, and how each comes down. */

import { computed, signal } from "@preact/signals";
import { type Api, Problem } from "./api";
import type { OpenedShare, SharedFile } from "./contract";
import { fraction } from "./format";
import { pause } from "./patience";
import { save, STREAMED_BYTES } from "./saving";

const LOOK_MS = 2_000; // between two looks at an archive that is put together
const COUNTED_MS = [2_000, 4_000, 8_000, 16_000, 32_000]; // a download counts once it has begun, and a browser may be slow

export class Opened {
  readonly files = signal<readonly SharedFile[]>([]);
  readonly next = signal<string | null>(null);
  /** Of the archive that is put together, from 0 to 1; null while none is. */
  readonly built = signal<number | null>(null);
  /** Downloads of all files together that the link still allows, as far as is known here; null where it has no limit. */
  readonly left = signal<number | null>(null);
  readonly size = computed(() => this.files.value.reduce((sum, file) => sum + file.size, 0));
  private archive: string;

  private constructor(
    private readonly api: Api,
    private readonly id: string,
    private readonly password: string | undefined,
    readonly about: Pick<OpenedShare, "title" | "message" | "owner_name" | "expires_at">,
    first: OpenedShare,
  ) {
    this.archive = first.links.archive;
    this.left.value = first.downloads_left;
    this.put(first);
  }

  /** Rejects with a Problem, `wrong_password` among them. */
  static async open(api: Api, id: string, password?: string): Promise<Opened> {
    const first = await api.openShare(id, password === undefined ? {} : { password });
    const opened = new Opened(api, id, password, first, first);
    if (first.files.length === 0) await opened.more();
    return opened;
  }

  /** The first file of the page that follows. One whose files were all deleted since is passed over. */
  async more(): Promise<SharedFile | undefined> {
    for (let cursor = this.next.value; cursor !== null; cursor = this.next.value) {
      const page = await this.ask(cursor);
      if (this.next.value !== cursor) return undefined; // asked for twice
      this.put(page);
      if (page.files.length > 0) return page.files[0];
    }
    return undefined;
  }

  /** Lets the browser save a file. */
  async download(id: string): Promise<void> {
    const file = this.files.value.find((one) => one.id === id);
    if (!file) return;
    const query = file.size > STREAMED_BYTES ? "&direct=1" : "";
    await this.follow(`${file.links.content}${query}`, "object_missing", async () => {
      for (let cursor: string | undefined; ;) {
        const page = await this.ask(cursor);
        const found = page.files.find((one) => one.id === id);
        if (found) {
          this.files.value = this.files.value.map((one) => (one.id === id ? found : one));
          return `${found.links.content}${query}`;
        }
        if (page.next === null) throw new Problem(404, "file_not_found", "");
        cursor = page.next;
      }
    });
  }

  /** Lets the browser save all of them as one ZIP. */
  async downloadAll(): Promise<void> {
    await this.putTogether();
    await this.follow(this.archive, "archive_not_ready", async () => {
      this.archive = (await this.ask()).links.archive;
      return this.archive;
    });
  }

  private put(page: OpenedShare): void {
    this.files.value = [...this.files.value, ...page.files];
    this.next.value = page.next;
  }

  /** Has S3 put the archive together, where it is too large to be sent as it is made. */
  private async putTogether(): Promise<void> {
    try {
      await this.api.reachable(this.archive);
      return;
    } catch (error) {
      if (!(error instanceof Problem && error.status === 409)) return; // whoever follows the link says what it is
    }
    const wanted = { share: this.id, ...(this.password === undefined ? {} : { password: this.password }) };
    try {
      for (;;) {
        const archive = await this.api.createArchive(wanted);
        if (archive.status !== "building") return;
        this.built.value = fraction(archive.built_bytes, archive.size);
        await pause(LOOK_MS);
      }
    } finally {
      this.built.value = null;
    }
  }

  /**
   * Lets the browser download from `link`, or from what `fresh` finds where that does not work any more.
   *
   * A link that answers with an error would take the page's place. The answer to HEAD has no words, and counts as no
   * download: opening the share once more tells why a link does not work. If it does not, it is for the reason `code`.
   */
  private async follow(link: string, code: string, fresh: () => Promise<string>): Promise<void> {
    try {
      if (!(await this.works(link))) {
        link = await fresh();
        await this.api.reachable(link);
      }
    } catch (error) {
      throw error instanceof Problem && error.code === "" ? new Problem(error.status, code, error.detail) : error;
    }
    save(link);
    if (this.left.value !== null) void this.look();
  }

  /** How many downloads are left is the server's to say: what a browser still has is not downloaded again. */
  private async look(): Promise<void> {
    const before = this.left.value;
    for (const wait of COUNTED_MS) {
      await pause(wait);
      await this.ask().catch(() => null); // who presses again learns why it was refused
      if (this.left.value !== before) return;
    }
  }

  private async works(link: string): Promise<boolean> {
    try {
      await this.api.reachable(link);
      return true;
    } catch (error) {
      if (error instanceof Problem && [403, 404].includes(error.status)) return false;
      throw error;
    }
  }

  private async ask(cursor?: string): Promise<OpenedShare> {
    try {
      const page = await this.api.openShare(this.id, {
        ...(this.password === undefined ? {} : { password: this.password }),
        ...(cursor === undefined ? {} : { cursor }),
      });
      this.left.value = page.downloads_left;
      return page;
    } catch (error) {
      if (error instanceof Problem && error.code === "share_used_up") this.left.value = 0;
      throw error;
    }
  }
}

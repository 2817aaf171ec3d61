/** What somebody sees who was given a link to files: who sent what, and a button for each. */

import { type Api, Problem } from "./api";
import type { OpenedShare, SharedFile } from "./contract";
import { button, el, say } from "./dom";
import { digestList } from "./digests";
import { STREAMED_BYTES } from "./files";
import { bytes, explain } from "./words";

const LOOK_MILLISECONDS = 2_000; // between two looks at an archive that is put together

/** The id of the share that a capability (a JWT, RFC 7519) is for, or null where it is none. The server checks it. */
export function shareOf(capability: string): string | null {
  try {
    const claims = atob((capability.split(".")[1] ?? "").replaceAll("-", "+").replaceAll("_", "/"));
    const { record } = JSON.parse(claims) as { record?: unknown };
    return typeof record === "string" && /^[0-9a-z]{26}$/.test(record) ? record : null;
  } catch {
    return null;
  }
}

export class SharePage {
  readonly element = el("section", { "aria-labelledby": "share" });
  private readonly heading = el("h2", { id: "share", tabindex: "-1" }, "Files for you");
  private readonly problem = el("p", { role: "alert", class: "problem" });
  private readonly sum = el("p", { class: "facts" });
  private readonly list = el("ul", { class: "files" });
  private readonly more = button("Show more", () => void this.showMore(), { hidden: true });
  private password: string | undefined;
  private share: OpenedShare | undefined;
  private readonly files = new Map<string, SharedFile>();

  constructor(
    private readonly api: Api,
    private readonly id: string,
  ) {}

  /** Opens the share, or asks for its password. */
  async start(): Promise<void> {
    try {
      this.show(await this.api.openShare(this.id, {}));
    } catch (error) {
      if (error instanceof Problem && error.code === "wrong_password") this.askForPassword();
      else this.refuse(error);
    }
  }

  private askForPassword(): void {
    const input = el("input", {
      id: "share-password",
      type: "password",
      required: true,
      autocomplete: "off",
      spellcheck: "false",
      "aria-describedby": "password-help password-problem",
    });
    const said = el("p", { id: "password-problem", role: "alert", class: "problem" });
    const submit = el("button", {}, "Open");
    const form = el(
      "form",
      { class: "card" },
      this.heading,
      el("label", { for: "share-password" }, "Password"),
      input,
      el(
        "p",
        { id: "password-help", class: "facts" },
        "These files are protected. Whoever gave you the link knows the password.",
      ),
      said,
      submit,
    );
    const attempt = async () => {
      submit.disabled = true;
      said.textContent = "";
      try {
        const share = await this.api.openShare(this.id, { password: input.value });
        this.password = input.value;
        this.show(share);
        this.heading.focus(); // the form, and with it the focus, is gone
      } catch (error) {
        submit.disabled = false;
        said.textContent = explain(error, true);
        input.setAttribute("aria-invalid", "true");
        input.focus();
        input.select();
      }
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      void attempt();
    });
    this.element.replaceChildren(form);
    input.focus();
  }

  private show(share: OpenedShare): void {
    this.share = share;
    if (share.title !== null) {
      this.heading.textContent = share.title;
      document.title = `${share.title} – Sluice`;
    }
    const archive = button("Download all as ZIP", () => void this.downloadAll());
    this.element.replaceChildren(
      this.heading,
      ...(share.message === null ? [] : [el("p", { class: "message" }, share.message)]),
      this.sum,
      this.problem,
      ...(share.files.length > 1 || share.next !== null ? [el("div", { class: "actions" }, archive)] : []),
      this.list,
      this.more,
    );
    this.put(share);
    if (this.files.size === 0) {
      this.list.replaceWith(el("p", {}, "Its files are not there any more: they were deleted."));
    }
  }

  /** A page of the files; the first of its headings. */
  private put(page: OpenedShare): HTMLElement | undefined {
    const rows = page.files.map((file) => {
      this.files.set(file.id, file);
      const name = el("h3", { id: `name-${file.id}`, tabindex: "-1" }, file.filename);
      const where = file.folder === null ? "" : ` · ${file.folder}/`;
      const download = button("Download", () => void this.download(file.id), {
        "aria-describedby": `name-${file.id}`,
      });
      this.list.append(
        el(
          "li",
          { "data-id": file.id },
          name,
          el("p", { class: "facts" }, `${bytes(file.size)} · ${file.content_type}${where}`),
          digestList(file.filename, file.digests),
          el("div", { class: "actions" }, download),
        ),
      );
      return name;
    });
    this.share = page;
    const size = [...this.files.values()].reduce((sum, file) => sum + file.size, 0);
    const count = `${this.files.size.toLocaleString()} ${this.files.size === 1 ? "file" : "files"}`;
    this.sum.textContent = page.next === null ? `${count}, ${bytes(size)}` : `The first ${count}`;
    this.more.hidden = page.next === null;
    say(`Files shown: ${this.files.size}`);
    return rows[0];
  }

  private async showMore(): Promise<void> {
    const next = this.share?.next;
    if (typeof next === "string") await this.attempt(async () => this.put(await this.open(next))?.focus());
  }

  private async download(id: string): Promise<void> {
    await this.attempt(async () => {
      const file = this.files.get(id);
      if (!file) return;
      const query = file.size > STREAMED_BYTES ? "&direct=1" : "";
      await this.follow(`${file.links.content}${query}`, "object_missing", async () => {
        for (let cursor: string | undefined; ;) {
          const page = await this.open(cursor);
          const found = page.files.find((one) => one.id === id);
          if (found) {
            this.files.set(id, found);
            return `${found.links.content}${query}`;
          }
          if (page.next === null) throw new Problem(404, "file_not_found", "");
          cursor = page.next;
        }
      });
      say(`Downloading ${file.filename}`);
    });
  }

  private async downloadAll(): Promise<void> {
    await this.attempt(async () => {
      if (!this.share) return;
      await this.putTogether(this.share.links.archive);
      await this.follow(this.share.links.archive, "archive_not_ready", async () => (await this.open()).links.archive);
      say("Downloading all files");
    });
  }

  /** Has S3 put the archive together, where it is too large to be sent as it is made. */
  private async putTogether(link: string): Promise<void> {
    try {
      await this.api.reachable(link);
      return;
    } catch (error) {
      if (!(error instanceof Problem && error.status === 409)) return; // whoever follows the link says what it is
    }
    const sum = this.sum.textContent;
    try {
      for (;;) {
        const archive = await this.api.packShare(this.id, this.password);
        if (archive.status !== "building") return;
        const percent = Math.floor((100 * archive.built_bytes) / archive.size);
        this.sum.textContent = `The ZIP is put together: ${percent} %`;
        await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS));
      }
    } finally {
      this.sum.textContent = sum;
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
    el("a", { href: link, rel: "noreferrer" }).click();
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

  private open(cursor?: string): Promise<OpenedShare> {
    return this.api.openShare(this.id, {
      ...(this.password === undefined ? {} : { password: this.password }),
      ...(cursor === undefined ? {} : { cursor }),
    });
  }

  private async attempt(work: () => Promise<void>): Promise<void> {
    this.problem.textContent = "";
    try {
      await work();
    } catch (error) {
      this.problem.textContent = explain(error, true);
    }
  }

  private refuse(error: unknown): void {
    this.problem.textContent = explain(error, true);
    this.element.replaceChildren(this.heading, this.problem);
  }
}

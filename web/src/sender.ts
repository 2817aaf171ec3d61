/** Where files are chosen or dropped: Uppy's Dashboard, and what went wrong with each file. */

import Uppy, { type Body, type Meta, RestrictionError, type UppyFile } from "@uppy/core";
import Dashboard from "@uppy/dashboard";
import "@uppy/core/css/style.min.css";
import "@uppy/dashboard/css/style.min.css";
import type { Api } from "./api";
import type { LinkedFile } from "./contract";
import { button, confirmed, el } from "./dom";
import type { Files } from "./files";
import { fingerprint, subtle } from "./fingerprint";
import { Uploads } from "./uploads";
import { explain, listed, NO_DIGESTS } from "./words";

/** What stopped some files: Uppy's ids, or names where it did not take them, and the names to show. */
interface Trouble {
  stopped: Map<string, string>;
  show: () => void;
}

/** The Dashboard cancels at once, a few pixels from where it pauses. What has been sent is asked about before. */
class Careful extends Uppy<Meta, Body> {
  override cancelAll(): void {
    void this.lost(this.getFiles()).then((agreed) => agreed && super.cancelAll());
  }

  override removeFile(id: string): void {
    void this.lost([this.getFile(id)]).then((agreed) => agreed && super.removeFile(id));
  }

  private async lost(files: UppyFile<Meta, Body>[]): Promise<boolean> {
    const partly = files.filter(({ progress }) => progress.bytesUploaded && !progress.uploadComplete);
    const [first, ...others] = partly;
    if (!first) return true;
    const what = others.length > 0 ? `${partly.length} files` : `“${first.name}”`;
    return confirmed(`Cancel the upload of ${what}? What has arrived is deleted.`, "Cancel upload");
  }
}

export class Sender {
  readonly element: HTMLElement;
  private readonly board = el("div");
  private readonly offline = el("p", { role: "status", class: "notice", hidden: navigator.onLine });
  private readonly problems = el("ul", { class: "problems" });
  private readonly troubles = new Map<string, Trouble>(); // by what is said of them
  private readonly uppy = new Careful();

  constructor(note: string) {
    this.offline.textContent = "You are offline. Uploads wait, and go on by themselves when you are back.";
    this.element = el(
      "section",
      { "aria-labelledby": "send" },
      el("h2", { id: "send", tabindex: "-1" }, "Send files"),
      el("p", {}, note),
      ...(subtle ? [] : [el("p", { class: "notice" }, NO_DIGESTS)]),
      this.offline,
      this.board,
      // Atomic, as an alert is by itself, it would be read out from its beginning with every line that is added.
      el("div", { role: "alert", "aria-atomic": "false" }, this.problems),
    );
  }

  /** Show the Dashboard, which needs its element in the page; `files` is told what becomes of what is sent. */
  start(api: Api, files: Files): void {
    this.uppy.use(Dashboard, {
      inline: true,
      target: this.board,
      width: "100%",
      height: 340,
      theme: "auto",
      fileManagerSelectionType: "both",
      proudlyDisplayPoweredByUppy: false,
      disableInformer: true, // it shows what it says for five seconds; the list below it stays
      showRemoveButtonAfterComplete: true, // or the list could not be scrolled with the keyboard
      locale: { strings: { dashboardTitle: "Files to send", complete: "All sent", removeFile: "Take out %{file}" } },
    });
    // A list of one file is no list to Uppy, and its item then has none around it.
    new MutationObserver(() => {
      this.board.querySelector(".uppy-Dashboard-files:not([role])")?.setAttribute("role", "list");
    }).observe(this.board, { childList: true, subtree: true });
    this.uppy.use(Uploads, {
      api,
      onBegun: (file) => files.begun(file),
      onSent: (file) => files.sent(file),
      onCancelled: (id) => files.drop(id),
      onFailed: (chosen, error, id) => {
        if (id !== undefined) files.left(id);
        this.tell(chosen.name, explain(error), chosen.id);
      },
    });
    this.uppy.on("restriction-failed", (chosen, error) => this.tell(chosen?.name ?? "", error.message));
    this.uppy.on("is-offline", () => (this.offline.hidden = false));
    this.uppy.on("is-online", () => (this.offline.hidden = true));
    this.uppy.on("upload-start", (chosen) => chosen.forEach(({ id }) => this.forget(id)));
    this.uppy.on("file-removed", ({ id }) => this.forget(id));
  }

  /** Ask for the file that an unfinished upload began with, and go on with it. */
  resume(file: LinkedFile): void {
    const picker = el("input", {
      type: "file",
      change: () => {
        const [chosen] = picker.files ?? [];
        if (chosen) void this.goOn(file, chosen);
      },
    });
    picker.click();
  }

  private async goOn(file: LinkedFile, chosen: File): Promise<void> {
    if ((await fingerprint(chosen, undefined)) !== file.fingerprint) {
      const other =
        "This is not the file that the upload began with, or it has changed since, or another browser began with it.";
      this.tell(chosen.name, `${other} One that came with a folder goes on when the folder is dropped again.`);
      return;
    }
    const failed = this.uppy
      .getFiles()
      .find(({ error, name, size }) => error && name === chosen.name && size === chosen.size);
    try {
      if (failed) {
        await this.uppy.retryUpload(failed.id);
      } else {
        this.uppy.addFile({ name: chosen.name, type: chosen.type, data: chosen });
        await this.uppy.upload();
      }
    } catch (error) {
      if (!(error instanceof RestrictionError)) this.tell(chosen.name, explain(error)); // that one has an event
    }
  }

  /** One entry for each reason, however many files it stopped. */
  private tell(name: string, why: string, id?: string): void {
    if (id !== undefined) this.forget(id);
    const trouble = this.troubles.get(why) ?? this.begin(why);
    trouble.stopped.set(id ?? name, name);
    trouble.show();
  }

  private begin(why: string): Trouble {
    const stopped = new Map<string, string>();
    const names = el("strong");
    const away = () => {
      const next = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      this.troubles.delete(why);
      (next ?? this.element).querySelector<HTMLElement>("button:not([hidden]), #send")?.focus();
    };
    const chosen = () => [...stopped.keys()].filter((id) => id in this.uppy.getState().files);
    const again = () => {
      const ids = chosen();
      away();
      for (const id of ids) void this.uppy.retryUpload(id);
    };
    const retry = button("Try again", again);
    const dismiss = button("Dismiss", away, { class: "quiet" });
    const item = el("li", {}, el("p", {}, names, `: ${why}`), el("div", { class: "actions" }, retry, dismiss));
    const show = () => {
      names.textContent = listed([...stopped.values()]);
      retry.hidden = chosen().length === 0;
      if (stopped.size > 0) return;
      item.remove();
      this.troubles.delete(why);
    };
    this.problems.append(item);
    const trouble = { stopped, show };
    this.troubles.set(why, trouble);
    return trouble;
  }

  private forget(id: string): void {
    for (const trouble of [...this.troubles.values()]) if (trouble.stopped.delete(id)) trouble.show();
  }
}

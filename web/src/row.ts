/** One file of the list. Its elements stay when its state changes, so that the focus stays as well. */

import type { LinkedFile, Progress, StoredFile } from "./contract";
import { digestList } from "./digests";
import { button, el } from "./dom";
import { canHash } from "./courier";
import { begunByAPage } from "./fingerprint";
import { bytes, percent, reason, unhashed, until, when } from "./words";

const NOT_COMPARED = "Its digests are known, but its sender gave none to compare them with.";

export interface Actions {
  download: (file: StoredFile) => void;
  remove: (file: StoredFile) => void;
  resume: (file: LinkedFile) => void;
}

export class Row {
  readonly element: HTMLLIElement;
  private readonly name: HTMLElement;
  private readonly state = el("p", { class: "state" });
  private readonly bar = el("progress", { max: "100", hidden: true });
  private readonly digests = el("div");
  private readonly download: HTMLButtonElement;
  private readonly resume: HTMLButtonElement;
  private readonly remove: HTMLButtonElement;
  /** Whether this tab sends it at the moment. */
  private here = false;

  /** `owned`: who only drops files takes none back, and gives up only what has not arrived. */
  constructor(
    private file: LinkedFile,
    private readonly owned: boolean,
    actions: Actions,
  ) {
    const about = { "aria-describedby": `name-${file.id}` };
    this.name = el("h3", { id: `name-${file.id}`, tabindex: "-1" }, file.filename);
    this.bar.setAttribute("aria-labelledby", `name-${file.id}`);
    this.download = button("Download", () => actions.download(this.file), { ...about, hidden: true });
    this.resume = button("Choose it again…", () => actions.resume(this.file), { ...about, hidden: true });
    this.remove = button("Delete", () => actions.remove(this.file), { ...about, class: "quiet", hidden: true });
    if (!owned) this.download.remove();
    this.element = el(
      "li",
      { "data-id": file.id },
      this.name,
      el(
        "p",
        { class: "facts" },
        `${bytes(file.size)} · ${when(file.created_at)}${file.folder === null ? "" : ` · ${file.folder}/`}`,
      ),
      this.state,
      this.bar,
      this.digests,
      el("div", { class: "actions" }, ...(owned ? [this.download] : []), this.resume, this.remove),
    );
    this.show(file);
  }

  focus(): void {
    this.name.focus();
  }

  /** An event has no links: those that were known stay. */
  show(file: StoredFile, here = false): void {
    this.file = { ...this.file, ...file };
    this.here = here;
    const { status } = file;
    this.element.dataset.status = status;
    this.state.textContent = this.words();
    this.bar.hidden = status !== "hashing" && status !== "assembling";
    if (status === "assembling") this.bar.removeAttribute("value");
    if (status === "hashing") this.bar.value = percent(file.hashed_bytes, file.size);
    this.download.hidden = status !== "ready" && !(status === "hashing" && file.verified);
    this.resume.hidden = status !== "uploading" || here || !begunByAPage(this.file);
    this.remove.hidden = status === "aborted" || (status === "uploading" ? here : !this.owned);
    this.remove.textContent = status === "uploading" ? "Cancel upload" : "Delete";
    if (status === "ready" && this.digests.childElementCount === 0)
      this.digests.append(digestList(file.filename, file.digests));
  }

  left(): void {
    this.show(this.file);
  }

  progress(progress: Progress): void {
    if (progress.status !== "uploading") this.show({ ...this.file, ...progress });
  }

  private words(): string {
    const { status, verified, hashed_bytes, size, expires_at } = this.file;
    const kept = expires_at ? ` What has arrived is kept until ${until(expires_at)}.` : "";
    switch (status) {
      case "uploading":
        if (this.here) return `On its way, see above.${canHash(size ?? 0) ? "" : ` ${unhashed(size)}`}`;
        return begunByAPage(this.file)
          ? `Not finished: choose or drop the same file again, in the browser that began it, to go on.${kept}`
          : `Not finished: it was begun by another program, or by a page that could not compute digests. Only there it can go on.${kept}`;
      case "assembling":
        return "Arrived. S3 is putting its parts together.";
      case "hashing":
        return `${verified ? "Verified. " : ""}Hashing: ${percent(hashed_bytes, size)} %`;
      case "ready":
        return verified ? "Verified" : `Hashed. ${NOT_COMPARED}`;
      case "failed":
        return reason(this.file);
      case "aborted":
        return this.file.reason === "expired" ? reason(this.file) : "Cancelled";
    }
  }
}

/** Where files and folders are chosen, dropped (anywhere on the page) or pasted. */

import { signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { type Chosen, few, type Found, hiddenNames, pasted, sort, walk } from "../chosen";
import { t } from "../i18n";
import type { MessageName } from "../locales/en";
import { confirmed } from "./dialog";
import { Icon } from "./icon";
import "../style/sending.css";

interface Props {
  onChosen: (chosen: Chosen[]) => void;
  /** What the browser offers first, where the deployment or the drop accepts only some types. */
  accept?: string[];
  disabled?: boolean;
}

/** What was left out of what was chosen last, in words. */
const leftOut = signal<string[]>([]);

/** Something else on the page takes files that are dropped upon it: `data-takes-files`. */
const ELSEWHERE = "[data-takes-files]";

export function Chooser({ onChosen, accept, disabled = false }: Props) {
  const aimed = useSignal(false);
  const take = async ({ chosen, unreadable }: Found) => {
    const kept = await sift(chosen, unreadable);
    if (kept.length > 0) onChosen(kept);
  };
  const latest = useRef(take);
  latest.current = take;
  useEffect(() => {
    if (disabled) return;
    return listen(aimed, (found) => void latest.current(found));
  }, [aimed, disabled]);
  const canChooseFolders = "webkitdirectory" in HTMLInputElement.prototype;
  const choose = (event: Event & { currentTarget: HTMLInputElement }) => {
    const files = [...(event.currentTarget.files ?? [])];
    event.currentTarget.value = ""; // the same file may be chosen again
    void take({ chosen: files.map((file) => ({ file, path: file.webkitRelativePath })), unreadable: [] });
  };
  return (
    <div class="chooser">
      <div class="actions">
        <label class="button" aria-disabled={disabled}>
          {t("chooser.files")}
          <input
            class="unseen"
            type="file"
            multiple
            disabled={disabled}
            {...(accept ? { accept: accept.join(",") } : {})}
            onChange={choose}
          />
        </label>
        {canChooseFolders && (
          <label class="button quiet" aria-disabled={disabled}>
            {t("chooser.folder")}
            <input
              class="unseen"
              type="file"
              multiple
              disabled={disabled}
              ref={(input) => input?.setAttribute("webkitdirectory", "")}
              onChange={choose}
            />
          </label>
        )}
        <p class="muted hint">{t("chooser.hint")}</p>
      </div>
      <Notices notices={leftOut.value} onDismiss={() => (leftOut.value = [])} />
      {aimed.value && (
        <div class="overlay" aria-hidden="true">
          <p>{t("chooser.drop")}</p>
        </div>
      )}
    </div>
  );
}

/** What has to be known and is no error, until it is dismissed or replaced. */
export function Notices({ notices, onDismiss }: { notices: readonly string[]; onDismiss: () => void }) {
  return (
    <div role="status">
      {notices.length > 0 && (
        <div class="notice">
          <div>
            {notices.map((notice) => (
              <p key={notice}>{notice}</p>
            ))}
          </div>
          <Dismiss onClick={onDismiss} />
        </div>
      )}
    </div>
  );
}

export function Dismiss({ onClick }: { onClick: () => void }) {
  const words = t("sending.dismiss");
  return (
    <button type="button" class="plain icon" aria-label={words} title={words} onClick={onClick}>
      <Icon name="cross" />
    </button>
  );
}

/** `{names}` are a few of them, `{count}` is how many there are. */
export function notice(message: MessageName, names: readonly string[]): string[] {
  if (names.length === 0) return [];
  const some = few(names);
  const list = some.others === 0 ? some.names : t("list.few", { names: some.names, count: some.others });
  return [t(message, { names: list, count: names.length })];
}

/** Leaves out, and says so, what nobody means to send; asks about what is hidden. */
async function sift(chosen: readonly Chosen[], unreadable: readonly string[]): Promise<Chosen[]> {
  const { wanted, litter, hidden } = sort(chosen);
  const nothing = chosen.length === 0 && unreadable.length === 0;
  leftOut.value = [
    ...(nothing ? [t("chooser.none")] : []),
    ...notice(
      "chooser.litter",
      litter.map(({ file, path }) => path || file.name),
    ),
    ...notice("chooser.unreadable", unreadable),
  ];
  if (hidden.length === 0) return wanted;
  const { names, others } = few(hiddenNames(hidden));
  const agrees = await confirmed(
    t("chooser.hidden_title", { count: hidden.length }),
    t("chooser.hidden", { names: others === 0 ? names : t("list.few", { names, count: others }) }),
    t("chooser.hidden_yes"),
    t("chooser.hidden_no"),
    "harmless",
  );
  return agrees ? [...wanted, ...hidden] : wanted;
}

/** Takes what is dropped or pasted anywhere on the page. */
function listen(aimed: { value: boolean }, take: (found: Found) => void): () => void {
  const takes = (event: DragEvent) =>
    hasFiles(event) &&
    !(event.target instanceof Element && event.target.closest(ELSEWHERE)) &&
    document.querySelector("dialog[open]") === null; // a question is open, which comes first
  const over = (event: DragEvent) => {
    aimed.value = takes(event);
    if (!aimed.value) return;
    event.preventDefault();
    if (event.dataTransfer) event.dataTransfer.dropEffect = "copy";
  };
  const leave = (event: DragEvent) => {
    if (event.relatedTarget === null) aimed.value = false; // out of the window
  };
  const drop = (event: DragEvent) => {
    const taken = takes(event);
    aimed.value = false;
    if (!taken) return;
    event.preventDefault();
    void dropped(event).then(take);
  };
  const paste = (event: ClipboardEvent) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0 || document.querySelector("dialog[open]") !== null) return;
    event.preventDefault();
    take({ chosen: pasted(files), unreadable: [] });
  };
  addEventListener("dragenter", over);
  addEventListener("dragover", over);
  addEventListener("dragleave", leave);
  addEventListener("drop", drop);
  addEventListener("paste", paste);
  return () => {
    aimed.value = false;
    removeEventListener("dragenter", over);
    removeEventListener("dragover", over);
    removeEventListener("dragleave", leave);
    removeEventListener("drop", drop);
    removeEventListener("paste", paste);
  };
}

function hasFiles(event: DragEvent): boolean {
  return event.dataTransfer?.types.includes("Files") ?? false;
}

/** All has to be asked for while the event is handled: after it the browser has forgotten what was dropped. */
function dropped({ dataTransfer }: DragEvent): Promise<Found> {
  const items = [...(dataTransfer?.items ?? [])].filter(({ kind }) => kind === "file");
  const entries = items.map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const files = [...(dataTransfer?.files ?? [])];
  if (entries.length > 0) return walk(entries);
  return Promise.resolve({ chosen: files.map((file) => ({ file, path: "" })), unreadable: [] });
}

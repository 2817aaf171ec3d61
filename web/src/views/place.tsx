/** The form for a file's name and folder. */

import { useEffect, useId, useRef } from "preact/hooks";
import type { Actions } from "../actions";
import type { StoredFile } from "../api";
import { t } from "../i18n";
import { useAttempt } from "./attempt";
import { say } from "./status";

interface Props {
  file: StoredFile;
  actions: Actions;
  /** Those that there are, to choose from. */
  folders: readonly string[];
  onDone: () => void;
}

export function Place({ file, actions, folders, onDone }: Props) {
  const name = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const id = useId();
  const { busy, problem, attempt } = useAttempt();
  useEffect(() => {
    const field = name.current;
    field?.focus();
    const dot = file.filename.lastIndexOf(".");
    field?.setSelectionRange(0, dot > 0 ? dot : file.filename.length); // an extension is seldom what is wrong
  }, []);
  const save = async () => {
    const filename = name.current?.value ?? file.filename;
    const path = (folder.current?.value ?? "").trim().replace(/^\/+|\/+$/g, "");
    const changed = await actions.api.change(file.id, { filename, folder: path === "" ? null : path });
    actions.files.put(changed);
    say(t("place.saved"));
    onDone();
  };
  return (
    <form
      class="place"
      onSubmit={(event) => {
        event.preventDefault();
        void attempt(save);
      }}
      onKeyDown={(event) => {
        if (event.key !== "Escape") return;
        event.preventDefault();
        event.stopPropagation();
        onDone();
      }}
    >
      <div class="field">
        <label for={`${id}-name`}>{t("place.name")}</label>
        <input id={`${id}-name`} ref={name} required maxLength={255} defaultValue={file.filename} autocomplete="off" />
      </div>
      <div class="field">
        <label for={`${id}-folder`}>{t("place.folder")}</label>
        <input
          id={`${id}-folder`}
          ref={folder}
          defaultValue={file.folder ?? ""}
          list={`${id}-folders`}
          autocomplete="off"
          aria-describedby={`${id}-help`}
        />
        <datalist id={`${id}-folders`}>
          {folders.map((path) => (
            <option key={path} value={path} />
          ))}
        </datalist>
        <p id={`${id}-help`} class="muted">
          {t("place.help")}
        </p>
      </div>
      <p class="problem" role="alert">
        {problem}
      </p>
      <div class="actions">
        <button disabled={busy}>{t("place.save")}</button>
        <button type="button" class="quiet" onClick={onDone}>
          {t("place.leave")}
        </button>
      </div>
    </form>
  );
}

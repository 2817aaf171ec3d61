/** The tick of a file that is ready. What was compared is said to whoever points at it, focuses it, or hears it. */

import { useId } from "preact/hooks";
import type { StoredFile } from "../api";
import { t } from "../i18n";
import { Icon } from "./icon";

interface Props {
  file: StoredFile;
  /** Sent from this tab. */
  mine: boolean;
  focusable: boolean;
}

export function Tick({ file, mine, focusable }: Props) {
  const tip = useId();
  const word = file.verified ? t("stage.verified") : t("stage.hashed");
  return (
    <span class="stages">
      <span
        class={file.verified ? "tick good" : "tick"}
        tabIndex={focusable ? 0 : -1}
        role="img"
        aria-label={word}
        aria-describedby={tip}
      >
        <Icon name={file.verified ? "tick" : "hashed"} size={18} />
        <span aria-hidden="true">{word}</span>
      </span>
      <span id={tip} role="tooltip" class="tip">
        {compared(file, mine)}
      </span>
    </span>
  );
}

/** What was compared with what. */
export function compared(file: StoredFile, mine: boolean): string {
  if (!file.verified) return t("compared.nothing");
  if (file.part_digest === null || file.mode !== "multipart") return t(mine ? "compared.whole_mine" : "compared.whole");
  const values = { count: file.part_count ?? 1, digest: file.part_digest.toUpperCase() };
  return t(mine ? "compared.parts_mine" : "compared.parts", values);
}

/** Where files are chosen or dropped, which is anywhere on the page. */

import { t } from "../i18n";
import type { Chosen } from "../uploads";

interface Props {
  onChosen: (chosen: Chosen[]) => void;
  /** What the browser offers first. */
  accept?: string[];
}

export function Chooser({ onChosen, accept }: Props) {
  return (
    <label class="button">
      {t("chooser.files")}
      <input
        class="unseen"
        type="file"
        multiple
        {...(accept ? { accept: accept.join(",") } : {})}
        onChange={(event) => {
          onChosen([...(event.currentTarget.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath })));
          event.currentTarget.value = ""; // the same file may be chosen again
        }}
      />
    </label>
  );
}

/** Where files are chosen or dropped, which is anywhere on the page. */

import { t } from "../i18n";
import type { Chosen } from "../uploads";

export function Chooser({ onChosen }: { onChosen: (chosen: Chosen[]) => void }) {
  return (
    <label class="button">
      {t("chooser.files")}
      <input
        class="unseen"
        type="file"
        multiple
        onChange={(event) => {
          onChosen([...(event.currentTarget.files ?? [])].map((file) => ({ file, path: file.webkitRelativePath })));
          event.currentTarget.value = ""; // the same file may be chosen again
        }}
      />
    </label>
  );
}

/** A button that copies a text, and says so. */

import { useSignal } from "@preact/signals";
import { copy } from "../clipboard";
import { t } from "../i18n";
import { Icon } from "./icon";
import { say } from "./status";

const SHOWN_MS = 2_000;

export function Copy({ text, what }: { text: string; what: string }) {
  const copied = useSignal(false);
  const onClick = async () => {
    copied.value = await copy(text);
    say(t(copied.value ? "copy.copied" : "copy.refused", { what }));
    setTimeout(() => (copied.value = false), SHOWN_MS);
  };
  return (
    <button
      type="button"
      class="plain icon"
      aria-label={t("copy.copy", { what })}
      title={t("copy.copy", { what })}
      onClick={() => void onClick()}
    >
      <Icon name={copied.value ? "tick" : "copy"} size={18} />
    </button>
  );
}

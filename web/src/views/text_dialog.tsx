/** A text that somebody takes from here: to read, to select, or to copy with one press. */

import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useId, useRef } from "preact/hooks";
import { copy as intoClipboard } from "../clipboard";
import { t } from "../i18n";
import { Dialog } from "./dialog";
import { say } from "./status";

interface Props {
  title: string;
  label: string;
  text: string;
  help: string;
  /** What the button says that copies it. */
  copy: string;
  /** What is said where the browser copies nothing, and the text is selected instead. */
  byHand: string;
  above?: ComponentChildren;
  /** What stands between the text and the buttons. */
  children?: ComponentChildren;
  /** Nobody can see the text again: the button alone closes the dialog, and neither Escape nor a click beside it. */
  once?: boolean;
  onClose: () => void;
}

export function TextDialog({ title, label, text, help, copy, byHand, above, children, once, onClose }: Props) {
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const copied = useSignal<boolean | null>(null);
  const words = copied.value === null ? copy : copied.value ? t("link.copied") : byHand;
  const copyIt = async () => {
    copied.value = await intoClipboard(text);
    if (!copied.value) field.current?.select();
    say(copied.value ? t("link.copied") : byHand);
  };
  return (
    <Dialog title={title} {...(once ? {} : { onClose })}>
      <div class="handed">
        {above}
        <div class="field">
          <label for={id}>{label}</label>
          <input
            id={id}
            ref={field}
            class="mono"
            readOnly
            autocomplete="off" // or a browser that restores its tabs keeps the text on disk
            spellcheck={false}
            aria-describedby={`${id}-help`}
            value={text}
            onFocus={(event) => event.currentTarget.select()}
          />
          <p id={`${id}-help`} class="muted">
            {help}
          </p>
        </div>
        {children}
        <div class="actions">
          <button type="button" class="quiet" onClick={onClose}>
            {t("link.done")}
          </button>
          <button type="button" autofocus onClick={() => void copyIt()}>
            {words}
          </button>
        </div>
      </div>
    </Dialog>
  );
}

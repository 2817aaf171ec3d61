/** What stands above the page: a form or a question. The browser keeps the focus in it, and gives it back after it. */

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { t } from "../i18n";

interface Props {
  title: string;
  /** Without it only what is in the dialog ends it. */
  onClose?: () => void;
  children: ComponentChildren;
}

/** Open for as long as it is rendered. Escape, and a click beside it, close it where it can be closed. */
export function Dialog({ title, onClose, children }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const heading = useId();
  useEffect(() => {
    const before = document.activeElement;
    element.current?.showModal();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  return (
    <dialog
      ref={element}
      aria-labelledby={heading}
      onCancel={(event) => {
        if (!onClose) event.preventDefault();
      }}
      onClose={() => {
        if (onClose) onClose();
        else element.current?.showModal(); // a second Escape closes what cancels no first one
      }}
      onMouseDown={(event) => {
        if (event.target === element.current) onClose?.();
      }}
    >
      <h2 id={heading}>{title}</h2>
      {children}
    </dialog>
  );
}

/** What `yes` leads to: most questions come before something that cannot be undone. */
type Outcome = "final" | "harmless";

interface Question {
  title: string;
  detail: string;
  yes: string;
  no: string;
  outcome: Outcome;
  answer: (agreed: boolean) => void;
}

const asked = signal<Question | null>(null);

/** Ask before what cannot be undone. `yes` and `no` are what the buttons say, and name what happens. */
export function confirmed(
  title: string,
  detail: string,
  yes: string,
  no = t("dialog.keep", { count: 1 }),
  outcome: Outcome = "final",
): Promise<boolean> {
  asked.peek()?.answer(false); // whoever asked before has an answer all the same
  return new Promise((resolve) => {
    asked.value = {
      title,
      detail,
      yes,
      no,
      outcome,
      answer: (agreed) => {
        asked.value = null;
        resolve(agreed);
      },
    };
  });
}

/** Stands once in every face of the page, for `confirmed`. */
export function Questions() {
  const question = asked.value;
  if (!question) return null;
  return (
    <Dialog title={question.title} onClose={() => question.answer(false)}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          question.answer(true);
        }}
      >
        <p>{question.detail}</p>
        <div class="actions">
          <button type="button" class="quiet" autofocus onClick={() => question.answer(false)}>
            {question.no}
          </button>
          <button class={question.outcome === "final" ? "danger" : ""}>{question.yes}</button>
        </div>
      </form>
    </Dialog>
  );
}

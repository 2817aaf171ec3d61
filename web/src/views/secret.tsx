/** A field for something secret, and below it why what was typed is refused. */

import type { Signal } from "@preact/signals";
import type { Ref } from "preact";

interface Props {
  id: string;
  field: Ref<HTMLInputElement>;
  label: string;
  help: string;
  autocomplete: "current-password" | "off";
  problem: Signal<string>;
}

export function Secret({ id, field, label, help, autocomplete, problem }: Props) {
  return (
    <>
      <div class="field">
        <label for={id}>{label}</label>
        <input
          id={id}
          ref={field}
          type="password"
          required
          autocomplete={autocomplete}
          spellcheck={false}
          aria-describedby={`${id}-help ${id}-problem`}
          aria-invalid={problem.value !== ""}
        />
        <p id={`${id}-help`} class="muted">
          {help}
        </p>
      </div>
      <p id={`${id}-problem`} role="alert" class="problem">
        {problem}
      </p>
    </>
  );
}

/** What a screen reader says when it has finished what it says now. */

import { signal } from "@preact/signals";

const said = signal("");

export function say(text: string): void {
  said.value = text;
}

/** Stands once in every face of the page, from its beginning: what is announced has to be there before it is filled. */
export function Status() {
  return (
    <div class="unseen" role="status">
      {said}
    </div>
  );
}

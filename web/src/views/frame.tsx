/** What stands around the page of somebody who was given a link: nothing but whose machine this is, and the language. */

import type { ComponentChildren } from "preact";
import { Questions } from "./dialog";
import { Languages } from "./languages";
import { Mark } from "./mark";
import { Status } from "./status";

export function Frame({ children }: { children: ComponentChildren }) {
  return (
    <>
      <header class="top">
        <Mark />
        <Languages />
      </header>
      <main class="narrow">{children}</main>
      <Status />
      <Questions />
    </>
  );
}

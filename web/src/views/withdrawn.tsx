/** What somebody gave up elsewhere of what is sent from here, until it is read. */

import { useSignal } from "@preact/signals";
import type { Uploads } from "../uploads";
import { Notices, notice } from "./chooser";

export function Withdrawn({ uploads }: { uploads: Uploads }) {
  const heard = useSignal(0);
  const names = uploads.withdrawn.value.slice(heard.value).map(({ name }) => name);
  return (
    <Notices
      notices={notice("sending.withdrawn", names)}
      onDismiss={() => (heard.value = uploads.withdrawn.peek().length)}
    />
  );
}

/** What an owner sends: the chooser, and how far all of it is. */

import type { Uploads } from "../uploads";
import { Chooser } from "./chooser";

export function Sending({ uploads }: { uploads: Uploads }) {
  return <Chooser onChosen={(chosen) => uploads.add(chosen)} />;
}

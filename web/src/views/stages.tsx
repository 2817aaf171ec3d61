/** One bar with two named stages, sending and verifying, and a tick at the end. */

import type { StoredFile } from "../api";
import { percent } from "../format";
import type { Upload } from "../uploads";

interface Props {
  /** What this tab sends, if it does. */
  upload?: Upload | undefined;
  /** What the server says, as soon as it says something. */
  file?: StoredFile | undefined;
}

export function Stages({ upload, file }: Props) {
  if (upload && (!file || file.status === "uploading")) return <span>{percent(upload.sent.value, upload.size)}</span>;
  return <span>{file?.status}</span>;
}

/** All files in one list, newest first: those that are on their way from here, and those that the server has. */

import type { Api } from "../api";
import type { Files } from "../files";
import type { Uploads } from "../uploads";

interface Props {
  api: Api;
  files: Files;
  uploads: Uploads;
}

export function FileList({ files, uploads }: Props) {
  return (
    <ul data-changes={files.changes}>
      {uploads.all.value.map((upload) => (
        <li key={upload.key}>
          {upload.name} {upload.stage} {upload.sent}
        </li>
      ))}
      {files.all().map((file) => (
        <li key={file.value.id}>
          {file.value.filename} {file.value.status}
        </li>
      ))}
    </ul>
  );
}

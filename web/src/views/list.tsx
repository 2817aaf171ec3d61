/** All files in one list, newest first: those that are on their way from here, and those that the server has. */

import type { ReadonlySignal } from "@preact/signals";
import type { Api, StoredFile } from "../api";
import type { Downloads } from "../downloads";
import type { Files } from "../files";
import { percent } from "../format";
import { t } from "../i18n";
import type { Loaded } from "../loading";
import type { Uploads } from "../uploads";

interface Props {
  api: Api;
  files: Files;
  uploads: Uploads;
  downloads: Downloads;
  loaded: ReadonlySignal<Loaded>;
}

export function FileList({ files, uploads, downloads, loaded }: Props) {
  const newest = [...files.all()].sort((a, b) => (a.peek().id < b.peek().id ? 1 : -1)).slice(0, 100);
  return (
    <ul data-changes={files.changes.value} data-loaded={loaded.value} data-count={files.size}>
      {uploads.all.value
        .filter((upload) => upload.id.value === null)
        .map((upload) => (
          <li key={upload.key} data-row data-state={upload.stage}>
            <span>{upload.name}</span>
          </li>
        ))}
      {newest.map((file) => (
        <Row key={file.peek().id} file={file} uploads={uploads} downloads={downloads} />
      ))}
    </ul>
  );
}

function Row({
  file,
  uploads,
  downloads,
}: {
  file: ReadonlySignal<StoredFile>;
  uploads: Uploads;
  downloads: Downloads;
}) {
  const { id, filename, status, verified } = file.value;
  const stage = uploads.of(id)?.stage.value;
  const download = downloads.of(id).value;
  return (
    <li data-row data-state={stage === undefined || stage === "sent" ? status : stage} data-verified={String(verified)}>
      <span>{filename}</span>
      {download && (
        <small>
          {download.ended === null
            ? t("download.going", { percent: percent(download.sent_bytes, download.size) })
            : t(`download.${download.ended}`)}
        </small>
      )}
    </li>
  );
}

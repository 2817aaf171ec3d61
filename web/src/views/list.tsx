/** All files in one list, newest first: those that are on their way from here, and those that the server has. */

import { useEffect } from "preact/hooks";
import type { Api, StoredFile } from "../api";
import { canRetry, explain } from "../explain";
import type { Files } from "../files";
import type { Upload, Uploads } from "../uploads";
import { cancelled } from "./leaving";

interface Props {
  api: Api;
  files: Files;
  uploads: Uploads;
}

export function FileList({ api, files, uploads }: Props) {
  useEffect(() => {
    void api.list(100).then(({ items }) => files.put(...items));
  }, [api, files]);
  const changes = files.changes.value;
  const open = uploads.all.value.filter(({ stage }) => stage.value !== "sent" && stage.value !== "cancelled");
  const sending = new Set(open.map(({ id }) => id.value));
  return (
    <>
      <h1>Files</h1>
      <ul data-changes={changes}>
        {open.map((upload) => (
          <Sent key={upload.key} upload={upload} uploads={uploads} />
        ))}
        {files
          .all()
          .reverse()
          .filter((file) => !sending.has(file.value.id))
          .map((file) => (
            <Stored key={file.value.id} api={api} file={file.value} files={files} />
          ))}
      </ul>
    </>
  );
}

function Sent({ upload, uploads }: { upload: Upload; uploads: Uploads }) {
  const stage = upload.stage.value;
  const { name } = upload;
  return (
    <li data-row data-state={stage} data-id={upload.id}>
      <span>{name}</span> <span>{upload.folder}</span> {upload.sent}{" "}
      {upload.error.value !== null && <span role="alert">{explain(upload.error.value)}</span>}
      {["waiting", "sending"].includes(stage) && <button onClick={() => uploads.pause(upload)}>Pause {name}</button>}
      {stage === "paused" && <button onClick={() => uploads.resume(upload)}>Resume {name}</button>}
      {stage === "failed" && canRetry(upload.error.value) && (
        <button onClick={() => uploads.resume(upload)}>Try again {name}</button>
      )}
      <button onClick={() => void cancelled(uploads, [upload])}>Cancel {name}</button>
    </li>
  );
}

function Stored({ api, file, files }: { api: Api; file: StoredFile; files: Files }) {
  useEffect(() => {
    if (!["assembling", "hashing"].includes(file.status) || !file.links) return;
    const source = new EventSource(file.links.events);
    for (const name of ["ready", "failed"]) {
      source.addEventListener(name, ({ data }: MessageEvent<string>) => {
        source.close();
        files.put(JSON.parse(data) as StoredFile);
      });
    }
    return () => source.close();
  }, [api, file, files]);
  return (
    <li data-row data-state={file.status} data-verified={String(file.verified)} data-id={file.id}>
      <span>{file.filename}</span> <span>{file.folder}</span> <code>{file.digests["sha-256"]}</code>
    </li>
  );
}

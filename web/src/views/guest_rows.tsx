/** One file on a guest's page: before it is sent, and after that. */

import type { Chosen } from "../chosen";
import { canRetry, explain } from "../explain";
import type { Files } from "../files";
import { bytes } from "../format";
import { t } from "../i18n";
import type { Staged } from "../staged";
import type { Upload, Uploads } from "../uploads";
import { confirmed } from "./dialog";
import type { Place } from "./given";
import { Stages } from "./stages";

function pathOf({ file, path }: Chosen): string {
  return path === "" ? file.name : path.replace(/^\/+/, "");
}

interface StagedProps {
  staged: Staged;
  reason: string | null;
  place: Place;
  onRemove: () => void;
}

export function StagedRow({ staged, reason, place, onRemove }: StagedProps) {
  const { file } = staged.chosen;
  return (
    <li {...place} data-staged={reason === null ? "good" : "bad"}>
      <div class="what">
        <h3 title={pathOf(staged.chosen)}>{file.name}</h3>
        <p class="about muted">
          <span>{bytes(file.size)}</span>
          {staged.resumes && <span>{t("guest.goes_on")}</span>}
        </p>
      </div>
      <button type="button" class="plain" aria-label={t("guest.remove_of", { name: file.name })} onClick={onRemove}>
        {t("guest.remove")}
      </button>
      {reason !== null && <p class="problem">{reason}</p>}
    </li>
  );
}

interface SentProps {
  upload: Upload;
  files: Files;
  uploads: Uploads;
  /** Nobody tells its end any more: the drop has ended since. */
  unwatched: boolean;
  place: Place;
}

export function SentRow({ upload, files, uploads, unwatched, place }: SentProps) {
  const file = files.get(upload.id.value ?? "")?.value;
  const stage = upload.stage.value;
  const { name } = upload;
  const state = stage === "sent" ? (file?.status ?? "sending") : stage;
  const failed = stage === "sent" && file?.status === "failed";
  const moving = stage === "waiting" || stage === "sending" || stage === "paused";
  const cancel = async () => {
    const really = await confirmed(t("guest.cancel_title", { name }), t("guest.cancel_detail"), t("guest.cancel"));
    if (really) await uploads.cancel(upload);
  };
  const anew = () => {
    upload.stage.value = "cancelled"; // the record of what failed stays with the server, for its owner
    uploads.add([upload.chosen]);
  };
  return (
    <li {...place} data-row data-state={state} data-verified={String(file?.verified ?? false)}>
      <div class="what">
        <h3 title={pathOf(upload.chosen)}>{name}</h3>
        <p class="about muted">
          <span>{bytes(upload.size)}</span>
        </p>
      </div>
      <span class="actions">
        {(stage === "sending" || stage === "waiting") && (
          <button
            type="button"
            class="plain"
            aria-label={t("guest.pause_of", { name })}
            onClick={() => uploads.pause(upload)}
          >
            {t("guest.pause")}
          </button>
        )}
        {stage === "paused" && (
          <button
            type="button"
            class="plain"
            aria-label={t("guest.resume_of", { name })}
            onClick={() => uploads.resume(upload)}
          >
            {t("guest.resume")}
          </button>
        )}
        {stage === "failed" && canRetry(upload.error.value) && (
          <button
            type="button"
            class="quiet"
            aria-label={t("link.of", { what: t("link.again"), name })}
            onClick={() => uploads.resume(upload)}
          >
            {t("link.again")}
          </button>
        )}
        {failed && (
          <button type="button" class="quiet" aria-label={t("link.of", { what: t("link.again"), name })} onClick={anew}>
            {t("link.again")}
          </button>
        )}
        {moving && (
          <button type="button" class="plain" aria-label={t("guest.cancel_of", { name })} onClick={() => void cancel()}>
            {t("guest.cancel")}
          </button>
        )}
        {stage === "failed" && (
          <button
            type="button"
            class="plain"
            aria-label={t("guest.remove_of", { name })}
            onClick={() => void uploads.cancel(upload)}
          >
            {t("guest.remove")}
          </button>
        )}
      </span>
      <div class="how">
        <Stages upload={upload} file={file} />
      </div>
      {stage === "failed" && (
        <p role="alert" class="problem">
          {explain(upload.error.value, "guest")}
        </p>
      )}
      {failed && (
        <p role="alert" class="problem">
          {t("guest.spoilt")}
        </p>
      )}
      {unwatched && <p class="notice">{t("guest.unwatched")}</p>}
    </li>
  );
}

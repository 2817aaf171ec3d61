/** One bar with two named stages, sending and verifying, and a tick at the end, which says what was compared. */

import type { StoredFile } from "../api";
import { type State, stateOf } from "../entries";
import { begunByAPage } from "../fingerprint";
import { fraction, percent } from "../format";
import { t } from "../i18n";
import type { Upload } from "../uploads";
import "../style/stages.css";
import { Icon } from "./icon";
import { Tick } from "./tick";

interface Props {
  /** What this tab sends, if it does. */
  upload?: Upload | undefined;
  /** What the server says, as soon as it says something. */
  file?: StoredFile | undefined;
  /** Whether the tick can be reached with the keyboard: in a list, that of the row which the keyboard is at. */
  focusable?: boolean;
}

export function Stages({ upload, file, focusable = true }: Props) {
  const state = stateOf(upload?.stage.value, file);
  if (file?.status === "ready") return <Tick file={file} mine={upload !== undefined} focusable={focusable} />;
  if (state === "failed" || state === "aborted") {
    const words = upload && file?.status !== "failed" ? t("stage.not_sent") : t("stage.failed");
    return (
      <span class="stages bad">
        <Icon name="cross" size={18} /> {state === "aborted" ? t("stage.expired") : words}
      </span>
    );
  }
  const size = file?.size ?? upload?.size ?? null;
  const received = upload && state !== "uploading" ? upload.sent.value : (file?.received_bytes ?? 0);
  const hashed = file?.hashed_bytes ?? 0;
  const arrived = state === "assembling" || state === "hashing" || state === "scanning";
  const words = label(state, file, size === null ? null : percent(arrived ? hashed : received, size));
  return (
    <span class="stages">
      <span class="stage-name">
        {arrived && file?.verified && <Icon name="tick" size={16} />}
        {words}
      </span>
      <span
        class={`bar is-${state}`}
        role="progressbar"
        aria-label={arrived ? t("stage.verifying_bar") : t("stage.sending_bar")}
        aria-valuenow={size === null ? undefined : Math.round(100 * fraction(arrived ? hashed : received, size))}
        aria-valuetext={words}
      >
        <span class="part">
          <span style={{ transform: `scaleX(${arrived ? 1 : share(received, size)})` }} />
        </span>
        <span class="part verifying">
          <span style={{ transform: `scaleX(${arrived ? share(hashed, size) : 0})` }} />
        </span>
      </span>
    </span>
  );
}

function share(part: number, whole: number | null): number {
  return part === 0 || whole === null ? 0 : fraction(part, whole);
}

function label(state: State, file: StoredFile | undefined, progress: string | null): string {
  const values = { progress: progress ?? "" };
  switch (state) {
    case "waiting":
      return t("stage.waiting");
    case "sending":
      return t("stage.sending", values);
    case "paused":
      return t("stage.paused", values);
    case "assembling":
      return t("stage.assembling");
    case "hashing":
      return file?.verified ? t("stage.rereading", values) : t("stage.verifying", values);
    case "scanning":
      return t("stage.scanning");
    default:
      if (file && begunByAPage(file)) return t("stage.unfinished", values);
      return progress === null ? t("stage.elsewhere_unknown") : t("stage.elsewhere", values);
  }
}

/** Is this file on my disk the one that was sent? It is read here, and nothing of it is sent. */

import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import type { StoredFile } from "../api";
import { digestOf } from "../digest";
import { explain } from "../explain";
import { bytes, percent } from "../format";
import { t } from "../i18n";
import { Icon } from "./icon";
import { say } from "./status";

interface Checked {
  local: File;
  read: number;
  digest: string | null;
}

export function Check({ file }: { file: StoredFile }) {
  const recorded = file.digests["sha-256"];
  const checked = useSignal<Checked | null>(null);
  const problem = useSignal("");
  const running = useRef<AbortController>(null);
  const heading = useId();
  const stop = () => {
    running.current?.abort();
    checked.value = null;
  };
  useEffect(() => () => running.current?.abort(), []);
  if (recorded === undefined || file.status !== "ready") return null;

  const check = async (local: File) => {
    running.current?.abort();
    const attempt = (running.current = new AbortController());
    problem.value = "";
    checked.value = { local, read: 0, digest: null };
    try {
      const digest = await digestOf(local, (read) => (checked.value = { local, read, digest: null }), attempt.signal);
      checked.value = { local, read: local.size, digest };
      say(t(digest === recorded ? "check.same" : "check.other"));
    } catch (error) {
      if (attempt.signal.aborted) return;
      checked.value = null;
      problem.value = error instanceof DOMException ? t("check.unreadable") : explain(error);
    }
  };

  return (
    <section
      class="check-file"
      aria-labelledby={heading}
      data-takes-files
      onDragOver={(event) => {
        event.preventDefault();
        event.stopPropagation(); // elsewhere on the page it would be sent
      }}
      onDrop={(event) => {
        event.preventDefault();
        event.stopPropagation();
        const [dropped] = event.dataTransfer?.files ?? [];
        if (dropped) void check(dropped);
      }}
    >
      <h3 id={heading}>{t("check.title")}</h3>
      <p class="muted">{t("check.help")}</p>
      {checked.value && checked.value.digest === null ? (
        <Reading checked={checked.value} onStop={stop} />
      ) : (
        <label class="button quiet">
          {t("check.choose")}
          <input
            class="unseen"
            type="file"
            onChange={(event) => {
              const [chosen] = event.currentTarget.files ?? [];
              if (chosen) void check(chosen);
              event.currentTarget.value = ""; // the same file may be chosen again
            }}
          />
        </label>
      )}
      {checked.value?.digest && <Verdict file={file} recorded={recorded} checked={checked.value} />}
      <p class="problem" role="alert">
        {problem}
      </p>
    </section>
  );
}

function Reading({ checked, onStop }: { checked: Checked; onStop: () => void }) {
  const { local, read } = checked;
  const words = t("check.reading", { name: local.name, progress: percent(read, local.size) });
  return (
    <div class="reading">
      <span>{words}</span>
      <progress max={Math.max(1, local.size)} value={read} aria-label={words} />
      <button type="button" class="quiet" onClick={onStop}>
        {t("check.stop")}
      </button>
    </div>
  );
}

function Verdict({ file, recorded, checked }: { file: StoredFile; recorded: string; checked: Checked }) {
  const { local, digest } = checked;
  const same = digest === recorded;
  return (
    <div class={`verdict ${same ? "same" : "other"}`} data-verdict={same ? "same" : "other"}>
      <p>
        <Icon name={same ? "tick" : "cross"} /> <strong>{t(same ? "check.same" : "check.other")}</strong>
      </p>
      <dl>
        <dt>{t("check.here", { name: local.name })}</dt>
        <dd>
          {exactly(local.size)}
          <br />
          <code>{digest}</code>
        </dd>
        <dt>{t("check.there")}</dt>
        <dd>
          {file.size !== null && exactly(file.size)}
          <br />
          <code>{recorded}</code>
        </dd>
      </dl>
    </div>
  );
}

/** `8 kB (8,044 bytes)` */
export function exactly(size: number): string {
  return size < 1_000 ? bytes(size) : `${bytes(size)} (${t("detail.bytes", { count: size })})`;
}

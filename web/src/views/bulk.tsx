/** What can be done with the selected files. */

import { useSignal } from "@preact/signals";
import type { Actions } from "../actions";
import { copy } from "../clipboard";
import type { Entry } from "../entries";
import { explain } from "../explain";
import { bytes, percent } from "../format";
import { t } from "../i18n";
import type { Listing } from "../listing";
import { say } from "./status";

interface Props {
  actions: Actions;
  listing: Listing;
  onShare: (ids: string[]) => void;
}

export function Bulk({ actions, listing, onShare }: Props) {
  const problem = useSignal("");
  const note = useSignal("");
  const selected = listing.selected.value;
  const work = actions.work.value;
  if (selected.length === 0 && !work) return null;
  const ready = selected.filter(({ state }) => state === "ready");
  const size = selected.reduce((sum, entry) => sum + (entry.size ?? 0), 0);
  const attempt = async (what: () => Promise<void>) => {
    problem.value = note.value = "";
    try {
      await what();
    } catch (error) {
      problem.value = explain(error);
    }
  };
  const zip = () =>
    attempt(async () => {
      if (ready.length < selected.length) note.value = t("bulk.not_ready", { count: selected.length - ready.length });
      await actions.archive(selected);
    });
  const copySums = () =>
    attempt(async () => {
      const { text, count, without } = actions.sums(selected);
      const done = count > 0 && (await copy(text));
      const copied = count === 0 ? t("bulk.no_sums") : t(done ? "bulk.copied" : "bulk.not_copied", { count });
      note.value = without > 0 && count > 0 ? `${copied} ${t("bulk.without_sum", { count: without })}` : copied;
      say(note.value);
    });
  return (
    <section class="bulk" aria-label={t("bulk.label")}>
      <div class="bulk-row">
        <div class="bulk-count">
          <p>
            <strong>{t("bulk.selected", { count: selected.length })}</strong> <span class="muted">{bytes(size)}</span>
          </p>
          {!work && (
            <button type="button" class="plain" onClick={() => listing.clear()}>
              {t("bulk.clear")}
            </button>
          )}
        </div>
        {work ? (
          <Working actions={actions} />
        ) : (
          <div class="actions">
            <button type="button" class="quiet" disabled={ready.length === 0} onClick={() => void zip()}>
              {t("bulk.zip")}
            </button>
            <button type="button" class="quiet" disabled={ready.length === 0} onClick={() => onShare(ids(ready))}>
              {t("bulk.share")}
            </button>
            <button type="button" class="quiet" onClick={() => void copySums()}>
              {t("bulk.sums")}
            </button>
            <button type="button" class="quiet bad" onClick={() => void attempt(remove)}>
              {t("bulk.delete")}
            </button>
          </div>
        )}
      </div>
      <p class="problem" role="alert">
        {problem}
      </p>
      {note.value && <p class="muted">{note}</p>}
    </section>
  );

  async function remove(): Promise<void> {
    if (await actions.remove(selected)) listing.wantsFocus.value = true;
  }
}

function Working({ actions }: { actions: Actions }) {
  const work = actions.work.value;
  if (!work) return null;
  const progress = percent(work.done, work.whole);
  const words = work.kind === "archive" ? t("bulk.building", { progress }) : t("bulk.deleting", { progress });
  return (
    <div class="actions working">
      <span role="status">{words}</span>
      <progress max={work.whole} value={work.done} aria-label={words} />
      {work.kind === "archive" && (
        <button type="button" class="quiet" onClick={() => actions.stop()}>
          {t("bulk.stop")}
        </button>
      )}
    </div>
  );
}

function ids(entries: readonly Entry[]): string[] {
  return entries.flatMap(({ id }) => id ?? []);
}
